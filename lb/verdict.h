/*
 * What is decided about a frame.
 */
#ifndef LB_VERDICT_H
#define LB_VERDICT_H

#include "flows.h"
#include "own.h"
#include "parse.h"
#include "sched.h"
#include "segment.h"
#include "way.h"
#include "why.h"

/*
 * A server's answer to a probe, or what ICMP says of one: then seq is that of the probe's segment.
 */
struct probe_reply {
	struct tuple tuple; /* IPv6 addresses by name; of an ICMP error: as an answer would have had
	                       it */
	uint32_t seq, ack;  /* host order */
	uint32_t data_at, data_len; /* its data in the frame, as far as that has it */
	uint8_t tcp_flags;
	bool is_icmp; /* an error */
	uint8_t icmp_type, icmp_code;
};

/* act and why are always valid; sighting with one of the three flags before; the others where their
 * comments say so. */
struct verdict {
	uint8_t act;     /* enum lb_act */
	uint8_t why;     /* enum lb_why */
	bool sighted;    /* sighting is valid, and of a server */
	bool heard;      /* sighting is valid, and of somebody else than us, and news */
	bool conflict;   /* sighting is valid: its sender claims one of our addresses */
	uint16_t farm;   /* if why is of a SYN that was refused */
	uint8_t limit;   /* CLIENT_DROPPED: the limit that refused it, as enum lb_why */
	uint16_t worker; /* HAND_OVER: to this one */
	uint32_t flow;   /* FORWARD */
	struct way way;  /* BRIDGE, FORWARD */
	struct own own;  /* ANSWER */
	struct sighting sighting;
	struct probe_reply probe; /* WHY_PROBE */
};

/* Sets v to what holds before anything is decided. */
static inline void verdict_begin(struct verdict *v, const struct frame *frame)
{
	v->way = (struct way){.server = SERVER_NONE,
	                      .side = (uint8_t)way_across((enum side)frame->side)};
	v->flow = FLOW_NONE;
	v->sighted = v->heard = v->conflict = false;
}

static inline void verdict_settle(struct verdict *v, enum lb_why why)
{
	v->why = (uint8_t)why;
	v->act = (uint8_t)lb_why_act(why);
}

/* An answer goes back to where the packet came from. */
static inline void verdict_answer(struct verdict *v, enum lb_why why, const struct packet *packet,
                                  enum own_kind kind)
{
	verdict_settle(v, why);
	v->way.side = packet->from.side;
	v->own = (struct own){
	        .kind = (uint8_t)kind,
	        .server = SERVER_NONE,
	        .to = packet->from,
	        .tuple = tuple_reverse(packet->tuple),
	        .ipv6 = packet->kind == PACKET_IPV6,
	};
	if (!v->own.ipv6)
		return;
	v->own.src6 = *packet->dst6;
	v->own.dst6 = *packet->src6;
}

#endif
