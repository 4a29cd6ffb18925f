/*
 * SYNs on live flows, which wait for what the server says to them.
 */
#ifndef LB_ANEW_H
#define LB_ANEW_H

#include "tcp.h"

/* A few at a time: a place is its flow's number, and the later one has it. */
enum { ANEW_PLACES = 1024 };

struct anew_syn {
	uint32_t flow; /* FLOW_NONE: nothing waits here */
	uint32_t tick; /* when it came */
	struct tcp_syn syn;
	struct hop from;
};

struct anew {
	struct anew_syn *places;
};

void anew_lay_out(struct anew *anew, struct arena *arena);

/* Notes the packet, a SYN on the flow. */
void anew_note(struct anew *anew, uint32_t flow, const struct packet *packet, uint32_t tick);

/* The flow's SYN that waits, or NULL. */
const struct anew_syn *anew_find(const struct anew *anew, uint32_t flow, uint32_t tick);

/* Nothing waits on that flow any more, if something did. */
void anew_forget(struct anew *anew, uint32_t flow);

#endif
