/*
 * What stays in the kernel without a process: pinned maps, under
 * /sys/fs/bpf/tmbridge/OUTSIDE-INSIDE. A dot in a name, which that file system doesn't take, is a
 * colon there.
 */
#ifndef BRIDGE_PINS_H
#define BRIDGE_PINS_H

#include "../../lb/frame.h"

enum { PINS_PATH_BYTES = 320 }; /* with two names of 127 bytes (ALTIFNAMSIZ) */

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

/* Calls visit with each place, whatever pair it is of; visit may remove it. */
typedef void pins_visit(void *ctx, const struct pins *pins);
void pins_each(pins_visit *visit, void *ctx);

/* If it is the place for that pair of names. */
bool pins_are_of(const struct pins *pins, const char *const names[NSIDES]);

/* Calls each with what may be a name of the pair that it is the place of: where a name has a dash
 * in it, also with what is none. */
typedef void pins_name(void *ctx, const char *name);
void pins_names(const struct pins *pins, pins_name *each, void *ctx);

/* Moves all to the place for that pair of names, where nothing may be. Returns 0 or a negative
 * errno. */
int pins_move(const struct pins *pins, const char *const names[NSIDES]);

/* The descriptor of the map that is pinned by that name, or a negative errno. */
int pins_get(const struct pins *pins, const char *name);

/* Pins a map by that name, in one step, in place of the one that was pinned so, if any. Returns 0
 * or a negative errno. */
int pins_put(const struct pins *pins, const char *name, int map);

/* Removes a pin, or with NULL the directory. Nothing happens if there is none, or may not be. */
void pins_remove(const struct pins *pins, const char *name);

/* Removes all pins but those whose names are to be kept; NULL: none is. */
typedef bool pins_kept(const char *name);
void pins_keep(const struct pins *pins, pins_kept *is_kept);

/* Removes all pins, whatever their names are, and the directory. */
void pins_clear(const struct pins *pins);

#endif
