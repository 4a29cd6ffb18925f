/*
 * The programs and maps, once they are in the kernel.
 */
#ifndef BRIDGE_LOADED_H
#define BRIDGE_LOADED_H

#include "object.h"
#include "pins.h"
#include "shared.h"

#include <stddef.h>

struct bpf_object;

/* Programs by what they are for. */
enum loaded_program {
	LOADED_RECEIVE,                        /* of a port; + enum side */
	LOADED_FLOW = LOADED_RECEIVE + NSIDES, /* behind it; + enum side */
	LOADED_FLOW6 = LOADED_FLOW + NSIDES,   /* behind that, for IPv6; + enum side */
	LOADED_PUNT = LOADED_FLOW6 + NSIDES,   /* reached by tail call; + enum side */
	LOADED_NOBODY = LOADED_PUNT + NSIDES,  /* of a punt device */
	LOADED_PROGRAMS,
};

/* Maps that this process has in its memory. */
enum loaded_map {
	LOADED_CONF,
	LOADED_ADDRESSES,
	LOADED_COUNTS, /* by processor */
	LOADED_WAYS,   /* by number of the server */
	LOADED_NAMES,  /* by index of rules.names */
	LOADED_PARTS,  /* by worker */
	LOADED_FILTERS,
	LOADED_FILTER_COUNTS,
	LOADED_FILTER_SEEN,
	LOADED_TABLE, /* the engine's arrays; + enum table_array_id */
	LOADED_MAPS = LOADED_TABLE + TABLE_NARRAYS,
};

static_assert((int)LOADED_MAPS <= (int)FASTPATH_MAPS_MAX, "conf names them all");

/* The guard's maps, which the programs read as well where the host has what isn't ours. */
enum { LOADED_GUARD_MAPS = 3 };

struct loaded_guard {
	int maps[LOADED_GUARD_MAPS]; /* descriptors, by loaded_guard_names */
};

extern const char *const loaded_guard_names[LOADED_GUARD_MAPS];

struct loaded {
	struct bpf_object *object;
	struct bpf_object *image; /* what filters' programs have in common (image.bpf.c) */
	bool beside_host;
	int programs[LOADED_PROGRAMS]; /* descriptors */
	struct object_memory maps[LOADED_MAPS];
	bool is_pinned[LOADED_MAPS]; /* another process has pinned it */
};

/*
 * Loads all, the maps with that many elements each, but where reuse has a descriptor that map, as
 * it is; with a guard for where the host has what isn't ours, else (NULL) for a cable. Returns 0,
 * or a negative errno: that the kernel won't have them. loaded_close() is due in either case.
 */
int loaded_open(struct loaded *loaded, const uint32_t elements[LOADED_MAPS],
                const int reuse[LOADED_MAPS], const struct loaded_guard *guard);
void loaded_close(struct loaded *loaded);

/* How many elements LOADED_COUNTS must have. */
uint32_t loaded_processors(void);

/* Pins the maps, but those that are, `conf` last. Returns 0 or a negative errno. */
int loaded_pin(const struct loaded *loaded, const struct pins *pins);
void loaded_unpin(const struct pins *pins);

/* Has the programs count this process as there for as long as it lives: by an array of programs
 * that the kernel empties with it. Returns 0 or a negative errno. */
int loaded_attend(const struct loaded *loaded);

/* The kernel's number of a map, or 0. */
uint32_t loaded_map_id(const struct loaded *loaded, unsigned map);

/* By enum loaded_map: the name that it has and is pinned by, and the bytes of an element. */
const char *loaded_map_name(unsigned map);
uint32_t loaded_element_bytes(unsigned map);

/* If the map is empty as long as the rules have no IPv6 addresses. */
bool loaded_is_ip6(unsigned map);

/* The name of a program, for tc(8). */
const char *loaded_name(const struct loaded *loaded, enum loaded_program program);

/* If a program of that name on a port is one of these, of whichever process. */
bool loaded_is_name(const char *name);

#endif
