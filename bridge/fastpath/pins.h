/*
 * What stays in the kernel without a process: pinned maps, under
 * /sys/fs/bpf/tmbridge/OUTSIDE-INSIDE.
 */
#ifndef BRIDGE_PINS_H
#define BRIDGE_PINS_H

#include "../../lb/frame.h"

enum { PINS_PATH_BYTES = 128 };

struct pins {
	char path[PINS_PATH_BYTES]; /* of the directory */
};

/*
 * Finds or makes the place for a pair of interfaces, by enum side; mounts a BPF file system where
 * there is none, as in `ip netns exec`. Returns 0 or a negative errno.
 */
int pins_open(struct pins *pins, const char *const names[NSIDES]);

/* The same, but only finds: -ENOENT if it isn't there. */
int pins_find(struct pins *pins, const char *const names[NSIDES]);

/* The descriptor of the map that is pinned by that name, or a negative errno. */
int pins_get(const struct pins *pins, const char *name);

/* Pins a map by that name, in one step, in place of the one that was pinned so, if any. Returns 0
 * or a negative errno. */
int pins_put(const struct pins *pins, const char *name, int map);

/* Removes a pin, or with NULL the directory. Nothing happens if there is none, or may not be. */
void pins_remove(const struct pins *pins, const char *name);

#endif
