/*
 * When SYNs went to servers: how `fastest` measures the times that these take to answer. Only so
 * many of the last ones are remembered, in places by the flow's number: of two that share one the
 * later is measured, which is as good.
 */
#ifndef LB_WAITS_H
#define LB_WAITS_H

#include "arena.h"
#include "frame.h"

enum { WAITS = 4096 };

struct wait {
	lb_time since;
	uint32_t flow; /* + 1; 0: nobody waits */
};

struct waits {
	struct wait *at;
};

static inline void waits_lay_out(struct waits *waits, struct arena *arena)
{
	waits->at = arena_take(arena, WAITS, sizeof(*waits->at));
	if (waits->at)
		memset(waits->at, 0, WAITS * sizeof(*waits->at));
}

static inline void waits_begin(struct waits *waits, uint32_t flow, lb_time now)
{
	waits->at[flow % WAITS] = (struct wait){now, flow + 1};
}

/* Ends the flow's wait, and sets *ret_ns to how long it was; false if its beginning isn't
 * remembered. */
static inline bool waits_end(struct waits *waits, uint32_t flow, lb_time now, uint64_t *ret_ns)
{
	struct wait *wait = &waits->at[flow % WAITS];

	if (wait->flow != flow + 1)
		return false;
	wait->flow = 0;
	*ret_ns = now.ns - wait->since.ns;
	return true;
}

#endif
