/*
 * The records of several workers' taps, in the order of their times.
 */
#ifndef BRIDGE_TAPS_H
#define BRIDGE_TAPS_H

#include "tap.h"

/* How long a record waits for those of a worker who may have earlier ones, but doesn't say so; and
 * for how long of that he is expected to say so at once. */
#define TAPS_LATE_NS LB_NS_PER_S
#define TAPS_SOON_NS (10 * LB_NS_PER_MS)

struct taps_next {
	struct tap *tap; /* whose record is the next one; NULL: there is none, or it must wait, */
	int behind;      /* for this one, who may have an earlier one; -1: for nobody */
	bool soon;       /* but not for long */
};

struct taps_next taps_next(struct tap *const *taps, unsigned n, lb_time now);

#endif
