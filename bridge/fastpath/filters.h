/*
 * Filters in the kernel: their program, which is made anew for other rules, and their maps.
 */
#ifndef BRIDGE_FILTERS_H
#define BRIDGE_FILTERS_H

#include "loaded.h"
#include "../../lb/rules.h"

/* A filter's part of rules, as far as it outlives them. */
struct filters_kept {
	char name[RULES_NAME_BYTES];
	struct fastpath_filter_counts
	        before; /* what one of that name had counted in the other half */
};

struct filters {
	const struct loaded *loaded;
	struct fastpath_conf *conf; /* filters_half: which half of the maps is in use */
	unsigned n;                 /* in use */
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
 * same names go on counting. Those of before, in old, are the caller's to take off and to close.
 */
void filters_use(struct filters *filters, const struct rules *rules, lb_time now, int old[NSIDES]);

/* What one of them has done, on all processors. */
void filters_count(const struct filters *filters, unsigned filter,
                   struct fastpath_filter_counts *ret);

/* A frame that the filter has matched, if there is one since it was asked last; ret stays as it is
 * else. */
bool filters_see(struct filters *filters, unsigned filter, struct fastpath_filter_seen *ret);

#endif
