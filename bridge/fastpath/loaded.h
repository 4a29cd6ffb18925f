/*
 * The programs and maps, once they are in the kernel.
 */
#ifndef BRIDGE_LOADED_H
#define BRIDGE_LOADED_H

#include "pins.h"
#include "shared.h"

#include <stddef.h>

struct bpf_object;

/* Programs by what they are for. */
enum loaded_program {
	LOADED_RECEIVE,                        /* of a port; + enum side */
	LOADED_PUNT = LOADED_RECEIVE + NSIDES, /* reached by tail call; + enum side */
	LOADED_NOBODY = LOADED_PUNT + NSIDES,  /* of a punt device */
	LOADED_PROGRAMS,
};

/* A map in this process's memory. */
struct loaded_map {
	void *at;
	size_t bytes;
};

struct loaded {
	struct bpf_object *object;
	int programs[LOADED_PROGRAMS]; /* descriptors */
	struct loaded_map maps[3];
	struct fastpath_conf *conf;
	struct fastpath_address *addresses; /* 2 * conf->table_places */
	struct fastpath_counts *counts;     /* by processor */
	unsigned ncounts;
};

/*
 * Loads all, for tables of that many places. Returns 0, or a negative errno: that the kernel won't
 * have them. loaded_close() is due in either case.
 */
int loaded_open(struct loaded *loaded, uint32_t table_places);
void loaded_close(struct loaded *loaded);

/* Pins the maps. Returns 0 or a negative errno. */
int loaded_pin(const struct loaded *loaded, const struct pins *pins);
void loaded_unpin(const struct pins *pins);

/* Tells the programs that there is a process, as long as this one lives. Returns 0 or a negative
 * errno. */
int loaded_attend(const struct loaded *loaded);

/* The name of a program, for tc(8). */
const char *loaded_name(enum loaded_program program);

#endif
