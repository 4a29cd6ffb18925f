/*
 * Filters in the kernel: their program, which is made anew for other rules, and their maps.
 */
#ifndef BRIDGE_FILTERS_H
#define BRIDGE_FILTERS_H

#include "loaded.h"
#include "../../lb/rules.h"

/* A filter of the rules that are in force, in their order. */
struct filters_kept {
	char name[RULES_NAME_BYTES];
	struct fastpath_filter_counts before; /* what one of that name had counted in other parts */
	int place; /* in the part of the maps that is in use; -1: the kernel doesn't have it */
	int place_before; /* while programs are exchanged: in the part before, or -1 */
};

struct filters {
	const struct loaded *loaded;
	struct fastpath_conf *conf; /* filters_parts: those of the maps that may be in use */
	uint32_t part, next_part;   /* of the maps: for programs, and for next */
	uint32_t part_before;       /* for those that programs take the place of */
	unsigned n;
	struct filters_kept kept[RULES_FILTERS_MAX];
	int programs[NSIDES], next[NSIDES]; /* descriptors; -1: none */
};

/* Begins without any; loaded must stay. */
void filters_begin(struct filters *filters, const struct loaded *loaded);
void filters_close(struct filters *filters);

/* Loads the program for the filters of rules, to be used from filters_use() on. Returns 0, or a
 * negative errno: that the kernel won't have it, or that it can't be translated. */
int filters_prepare(struct filters *filters, const struct rules *rules);

/*
 * Goes over to what was prepared for these rules, as programs[] are from now on; filters of the
 * same names go on counting. Those of before, in old, are the caller's to take off and to close;
 * once they are off, filters_used() says so.
 */
void filters_use(struct filters *filters, const struct rules *rules, lb_time now, int old[NSIDES]);
void filters_used(struct filters *filters);

/* Closes the programs, which have been taken off. */
void filters_drop(struct filters *filters);

/* Notes that these rules are in force without the kernel. What the kernel has counted for filters
 * of the same names is kept. */
void filters_forgo(struct filters *filters, const struct rules *rules);

/* What a filter has done in the kernel, on all processors together. */
void filters_count(const struct filters *filters, unsigned filter,
                   struct fastpath_filter_counts *ret);

/* Takes a frame that the filter has kept for the log since the last call; false if there is none,
 * and ret stays as it is. */
bool filters_see(struct filters *filters, unsigned filter, struct fastpath_filter_seen *ret);

#endif
