/*
 * What there is to say of a flow when it ends, for the connection log.
 */
#ifndef LB_ENDED_H
#define LB_ENDED_H

#include "arena.h"
#include "tuple.h"

enum ended_why {
	ENDED_FIN,
	ENDED_RST,
	ENDED_IDLE,
	ENDED_SERVER_DOWN,
	ENDED_RELOAD,
	ENDED_EVICTED,
	ENDED_OPERATOR, /* somebody wanted it to */
	ENDED_LIMIT,    /* it was one more than its client may have */
	ENDED_EXIT,     /* the flow hasn't ended: it was open when the process did */
};

struct ended {
	lb_time start, end;
	struct tuple arrive[2]; /* by enum end, as in struct flow */
	struct ip6 client6;     /* of IPv6 */
	uint64_t bytes[2];      /* of frames, that came from each end */
	uint32_t packets[2];
	uint16_t server;
	uint8_t why; /* enum ended_why */
};

enum { ENDED_RING = 1024 }; /* records that wait for ended_take() */

struct ended_ring {
	struct ended *ring;
	uint32_t head, tail; /* taken and put so far; the difference waits */
	uint64_t lost;       /* found no place */
};

void ended_lay_out(struct ended_ring *ring, struct arena *arena);

/* Puts a record in, or counts it lost. */
void ended_put(struct ended_ring *ring, const struct ended *record);

/* Takes the oldest record out; false if there is none. */
bool ended_take(struct ended_ring *ring, struct ended *ret);

/* "fin", "rst", "idle", "server_down", "reload", "evicted", "operator", "limit", "exit" */
const char *ended_name(enum ended_why why);

#endif
