/*
 * The engine: frames in, verdicts out.
 */
#ifndef LB_LB_H
#define LB_LB_H

#include "balance.h"
#include "frame.h"
#include "rules.h"
#include "tuple.h"
#include "why.h"

struct lb;

/* A frame of tmbridge's own that an answer asks for. */
enum own_kind { OWN_ARP_REPLY, OWN_ECHO_REPLY, OWN_RST };

struct own {
	uint8_t kind;		/* enum own_kind */
	uint8_t tcp_flags;	/* OWN_RST: RST, perhaps with ACK */
	uint16_t l4, l4_len;	/* OWN_ECHO_REPLY: where the request stands in the frame */
	struct hop to;
	struct tuple tuple;	/* as the frame shall say it; ARP: src is our address, dst the asker's */
	uint32_t seq, ack;	/* OWN_RST, host order */
};

/* What an ARP frame, whatever becomes of it, says about a server's whereabouts. */
struct sighting {
	be32 ip;
	struct hop hop;
};

struct verdict {
	uint8_t act;		/* enum lb_act */
	uint8_t why;		/* enum lb_why */
	uint8_t side;		/* where it goes: BRIDGE, ANSWER, FORWARD to the client */
	bool sighted;		/* sighting is valid */
	bool conflict;		/* an ARP frame's sender claims one of our addresses: sighting says who */
	uint16_t server;	/* FORWARD: to this server's MAC, or SERVER_NONE: to the hop */
	uint32_t flow;		/* FORWARD */
	struct hop hop;		/* FORWARD to the client */
	struct own own;		/* ANSWER */
	struct sighting sighting;
};

/*
 * The bytes of memory, aligned to ARENA_ALIGN, that lb_init() needs for these rules.
 */
size_t lb_size(const struct rules *rules);

/*
 * Makes an engine in mem. rules must stay as long as it does; macs are the ports' own, by enum
 * side. Never fails. Nothing is allocated: when the engine is no longer needed, neither is mem.
 */
struct lb *lb_init(void *mem, const struct rules *rules, const struct hash_key *key,
		   const struct mac macs[NSIDES], lb_time now);

/*
 * Decides upon n frames, rewrites those to forward from layer 3 upwards, and sets ret[0..n-1]. The
 * frames' layer 2 is left to the caller. now must not be before that of an earlier call.
 */
void lb_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret);

/* Does what time asks for. Call it every few milliseconds while lb_is_busy(). */
void lb_tick(struct lb *lb, lb_time now);

/* If there is a flow that time could change. */
bool lb_is_busy(const struct lb *lb);

/* Frames by reason, since the start: LB_NWHYS counters. */
const uint64_t *lb_whys(const struct lb *lb);

/* For the statistics. */
const struct balance *lb_balance(const struct lb *lb);

#endif
