/*
 * SYNs on live flows: those that wait for what the server says to them, and flows that were made
 * for one.
 */
#ifndef LB_ANEW_H
#define LB_ANEW_H

#include "arena.h"
#include "tcp.h"

/* SYNs that are kept at a time. A flow's place is its number modulo this; of two that would have
 * the same one the later SYN stays. */
enum { ANEW_PLACES = 1024 };

struct anew_syn {
	uint32_t flow; /* FLOW_NONE: nothing waits here */
	uint32_t tick; /* when it came */
	struct tcp_syn syn;
	struct hop from;
};

/* A flow that was made for a SYN on an older one, which its client may still have. */
struct anew_heir {
	uint32_t flow, older; /* FLOW_NONE: there is none */
};

struct anew {
	struct anew_syn *places;
	struct anew_heir *heirs;
	uint32_t waiting; /* places that are taken: mostly none, and then none is looked at */
};

void anew_lay_out(struct anew *anew, struct arena *arena);

/* Notes the packet, a SYN on the flow. */
void anew_note(struct anew *anew, uint32_t flow, const struct packet *packet, uint32_t tick);

/* The flow's SYN that waits, or NULL. */
const struct anew_syn *anew_find(const struct anew *anew, uint32_t flow, uint32_t tick);

/* Notes that flow has just been made beside older, of the same client and port, which may be
 * FLOW_NONE; and returns what was noted of it. */
void anew_set_older(struct anew *anew, uint32_t flow, uint32_t older);
uint32_t anew_older(const struct anew *anew, uint32_t flow);

/* The flow that has the place where an older one of this flow would be noted, or FLOW_NONE. */
uint32_t anew_heir(const struct anew *anew, uint32_t flow);

/* Forgets the flow's SYN that waits, if there is one. */
void anew_forget(struct anew *anew, uint32_t flow);

#endif
