/*
 * The fast lane's steps (lb/lane.h) in user space, held up before each access to what is shared.
 */
#ifndef UNIT_LANE_TWIN_H
#define UNIT_LANE_TWIN_H

#include "../../lb/flows.h"

#include <ucontext.h>

enum { TWIN_STACK_BYTES = 64 << 10 };

/* A segment with ACK, as it arrives. */
struct twin_segment {
	struct tuple tuple;
	uint32_t seq, ack, len;
	uint16_t window;
	bool is_last; /* has FIN as well */
};

/* What a segment that is forwarded leaves with, and where the flow's client is. */
struct twin_way {
	struct tuple to;
	struct hop client;
};

struct twin {
	const struct flows *flows;
	struct twin_segment segment;
	uint32_t tick;
	bool forwarded; /* how it ended */
	struct twin_way way;
	bool done;
	ucontext_t own, other; /* of twin_begin() */
	uint8_t stack[TWIN_STACK_BYTES];
};

/* All steps at once: if the segment was forwarded, and then how. */
bool twin_run(const struct flows *flows, const struct twin_segment *segment, uint32_t tick,
              struct twin_way *ret);

/* The same in pieces: goes up to the next access with each twin_go_on(), which is false when there
 * was none. twin must stay where it is. */
void twin_begin(struct twin *twin, const struct flows *flows, const struct twin_segment *segment,
                uint32_t tick);
bool twin_go_on(struct twin *twin);

#endif
