/*
 * How long things took: counts by bounds, as Prometheus' histograms have them.
 */
#ifndef LB_TIMES_H
#define LB_TIMES_H

#include "bytes.h"

enum { TIMES_BOUNDS = 15 };

struct times {
	uint64_t counts[TIMES_BOUNDS + 1]; /* of what took no longer than a bound, but longer than
	                                      the one before; the last: longer than all */
	uint64_t sum_ns;
};

/* Bounds in ns, ascending. */
struct times_bounds {
	uint64_t ns[TIMES_BOUNDS];
};

/* Bounds for the time from the client's SYN to the server's; from a flow's first packet to its end;
 * and from when a burst of frames is there to when all have been sent. */
extern const struct times_bounds times_connect, times_flow, times_burst;

/* What a server's flows took. */
struct server_times {
	struct times connect, flow;
};

void times_note(struct times *times, const struct times_bounds *bounds, uint64_t ns);

void times_add(struct times *sum, const struct times *times);

uint64_t times_count(const struct times *times);

/*
 * The time that the share (0 to 1) of all did not exceed, in ns: as if they were spread evenly
 * between two bounds; the highest bound if it is beyond that. 0 if there are none.
 */
uint64_t times_quantile(const struct times *times, const struct times_bounds *bounds, double share);

#endif
