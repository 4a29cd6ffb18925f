/*
 * So many events in each millisecond, and no more.
 */
#ifndef BRIDGE_PACE_H
#define BRIDGE_PACE_H

#include "../../lb/frame.h"

/* All zeros: none so far. */
struct pace {
	lb_time window; /* began when there was the full number; now there are left: */
	uint32_t left;
};

/* If one more of n events in a millisecond may happen now; if so counts it. */
static inline bool pace_take(struct pace *pace, uint32_t n, lb_time now)
{
	if (now.ns - pace->window.ns >= LB_NS_PER_MS) {
		pace->window = now;
		pace->left = n;
	}
	if (!pace->left)
		return false;
	pace->left--;
	return true;
}

/* The earliest time at which something may happen that is due at `due`. */
static inline lb_time pace_due(const struct pace *pace, lb_time due)
{
	if (!pace->left && due.ns < pace->window.ns + LB_NS_PER_MS)
		due.ns = pace->window.ns + LB_NS_PER_MS;
	return due;
}

#endif
