/*
 * A search through all flows of all workers, some at a time, between their bursts.
 */
#ifndef BRIDGE_SCAN_H
#define BRIDGE_SCAN_H

#include "best.h"
#include "../worker/crew.h"

enum { SCAN_FOUND_MAX = 1024 }; /* flows that one step finds */

struct scan {
	struct filter filter;
	bool reset;          /* what is found is ended, both its ends being reset */
	unsigned worker;     /* where it has got to: that one */
	uint32_t flow;       /* and that flow of it */
	uint64_t generation; /* of the workers' rules, of which the filter's names are */
	struct best *best;   /* keeps what is found, and only what it would keep is; or NULL */
	enum flow_number by; /* by which one is better */
	bool has_floor;      /* of best, in this step: */
	uint64_t floor;
	/* of the last step: */
	unsigned n, max, parts, said; /* the last is the caller's, from 0 on */
	struct flow_view found[SCAN_FOUND_MAX];
	uint64_t numbers[SCAN_FOUND_MAX]; /* theirs, if there is a best */
};

/* For these rules, from the first flow on; the rest is the caller's to set. NULL if memory runs
 * out. */
struct scan *scan_new(const struct crew *crew);
void scan_free(struct scan *scan, struct crew *crew); /* with its best; it may be NULL */

/* Goes on, to find up to max flows, which are in found (and offered to best). Returns 0, 1 if it is
 * over, or a negative errno: -ESTALE if there are other rules by now, -ETIMEDOUT if a worker
 * doesn't come to it, -EBUSY if it doesn't come to an end: then what it has found is lost. */
int scan_step(struct scan *scan, struct crew *crew, unsigned max);

#endif
