/*
 * Each worker's records come in the order of their times, so the next one of all is the earliest of
 * those that come first; unless a worker that has no record yet may still put an earlier one: it
 * says which time it has passed.
 */
#include "taps.h"

struct taps_next taps_next(struct tap *const *taps, unsigned n, lb_time now)
{
	struct taps_next next = {.behind = -1};
	lb_time first = {UINT64_MAX}, passed = {UINT64_MAX};

	for (unsigned k = 0; k < n; k++) {
		bool any;
		const lb_time time = tap_next(taps[k], &any);

		if (any && time.ns < first.ns) {
			first = time;
			next.tap = taps[k];
		} else if (!any && time.ns < passed.ns) {
			passed = time;
			next.behind = (int)k;
		}
	}
	if (!next.tap || passed.ns >= first.ns || now.ns >= first.ns + TAPS_LATE_NS) {
		next.behind = -1;
		return next;
	}
	next.tap = NULL;
	next.soon = now.ns < first.ns + TAPS_SOON_NS;
	return next;
}
