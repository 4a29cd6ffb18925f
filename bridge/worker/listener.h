/*
 * Queries of multicast listeners (MLD), and our answers.
 */
#ifndef BRIDGE_LISTENER_H
#define BRIDGE_LISTENER_H

#include "pace.h"
#include "walk.h"
#include "../../lb/frame.h"

enum {
	LISTENER_ANSWERS = 16,      /* due, or just given, to queriers in 8 VLANs on both sides */
	LISTENER_PER_MS = 32,       /* reports */
	LISTENER_LOOKS = 256,       /* at addresses, at once */
	LISTENER_CALM_MS = 1000,    /* from an answer on, until the next one to the same querier */
	LISTENER_LATEST_MS = 10000, /* RFC 3810, 9.3: the default; later isn't used if allowed */
	LISTENER_OLD_S = 260,       /* RFC 3810, 9.12, with the defaults */
};

struct listener_query {
	uint8_t side;
	bool is_old;       /* MLDv1 (RFC 2710) */
	bool is_general;   /* whatever we listen to; or only: */
	uint16_t vlan;     /* hop_vlan() */
	uint32_t delay_ms; /* an answer may take so long */
	struct ip6 group;
};

/* If the frame is a query that a host is to answer (RFC 3810, 5.1.14 and 6.2): fills in ret. */
bool listener_hear(const struct frame *frame, struct listener_query *ret);

/* A report to be sent. */
struct listener_report {
	uint8_t side;
	bool is_old;
	uint16_t vlan; /* 0: none */
	be32 ip;       /* the name of an address; its solicited-node group is listened to */
};

struct listener_answer {
	struct listener_query query; /* those that came meanwhile are part of it */
	bool is_due;
	lb_time when; /* not before, if is_due */
	lb_time calm; /* not before, in any case */
};

/* All zeros, but for a seed: none yet. */
struct listener {
	uint64_t random; /* not 0 */
	struct listener_answer answers[LISTENER_ANSWERS];
	struct listener_answer *going; /* the one that is being given, or NULL */
	struct listener_query given;
	struct walk walk;
	lb_time old[NSIDES]; /* until then MLDv1 is spoken on that side */
	struct pace pace;
	uint64_t missed; /* queries that had no room */
};

/* Notes the query, for it to be answered by listener_next(). */
void listener_note(struct listener *listener, const struct listener_query *query, lb_time now);

/* Takes the next report to be sent now; false if there is none. */
bool listener_next(struct listener *listener, const struct addresses *addresses, lb_time now,
                   struct listener_report *ret);

/* When listener_next() will have one; UINT64_MAX: never. */
lb_time listener_due(const struct listener *listener);

/* If MLDv1 must be used on that side, as a querier there uses it. */
static inline bool listener_is_old(const struct listener *listener, unsigned side, lb_time now)
{
	return now.ns < listener->old[side].ns;
}

#endif
