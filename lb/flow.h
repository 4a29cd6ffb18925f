/*
 * A flow: one balanced TCP connection, its words and what they mean.
 *
 * A flow has two ends and holds the tuple with which packets arrive from either. A packet that
 * arrives as arrive[e] leaves as the reverse of arrive[!e]: rewriting has no direction. Flows are
 * named by their index in the table (flows.h); a reference is a flow and one of its ends.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "both.h"
#include "frame.h"
#include "name.h"
#include "tuple.h"

#include <stddef.h>

enum end { CLIENT, SERVER };

/* A tick is 100 ms since the table was made; saturates after 13.6 years. */
enum { FLOW_TICKS_PER_S = 10, FLOW_MS_PER_TICK = 1000 / FLOW_TICKS_PER_S };
#define FLOW_NS_PER_TICK (LB_NS_PER_S / FLOW_TICKS_PER_S)
#define FLOW_NEVER       UINT32_MAX
#define FLOW_NONE        UINT32_MAX

enum flow_state {
	FLOW_FREE,
	FLOW_HALF_OPEN, /* the client hasn't acknowledged the server's SYN yet */
	FLOW_OPEN,
	FLOW_CLOSING, /* both ends have sent FIN, not both are acknowledged */
	/*
	 * An end has sent a RST that was believed. Ended for all purposes, unless its ends go on:
	 * then it is open or closing again.
	 */
	FLOW_RESET,
	/*
	 * Ended. Keeps its tuples, so that late packets find their way and its SNAT port isn't used
	 * again while the server has it in TIME_WAIT.
	 */
	FLOW_QUARANTINE,
};

/* Flags of a flow; those of an end are shifted by enum end. */
enum {
	FLOW_FIN_SENT = 1 << 0,  /* << end */
	FLOW_SEQ_KNOWN = 1 << 2, /* << end: next_seq is valid */
	/* the server closed first, or at the same time: TIME_WAIT is there */
	FLOW_SERVER_FIN_FIRST = 1 << 4,
	/* arrive[CLIENT] is no longer in the index: a newer flow has it */
	FLOW_CLIENT_UNLISTED = 1 << 5,
	FLOW_RST_SENT = 1 << 6, /* << end: ended by its RST */
	FLOW_RESET_BY_US = FLOW_RST_SENT << CLIENT |
	                   FLOW_RST_SENT << SERVER, /* both: whoever missed his gets another one */
};

enum { FLOW_SERVER_BITS = 13 };
#define FLOW_SERVER_MASK ((1u << FLOW_SERVER_BITS) - 1)

/*
 * Plain data without pointers; one cache line. Read by all of lb/, written by flows.c and tcp.c.
 *
 * It may be shared with another writer, who follows open flows as express.c does. What both write,
 * and all that he writes here, are aligned words of 32 bits that nothing else shares storage with,
 * in whatever state the flow is: a write that comes late does no harm. The rest is the engine's.
 */
struct flow {
	struct tuple arrive[2]; /* by enum end */
	/* both write: */
	uint32_t next_seq[2]; /* the sequence number after the last that this end sent */
	uint32_t acked[2];    /* the highest acknowledgment that this end sent */
	uint32_t limit[2];    /* open and closing flows: up to where this end may send */
	uint32_t last;        /* tick of its last packet, or of its end */
	/* the engine writes: */
	union {
		struct {
			uint16_t server : FLOW_SERVER_BITS; /* rules.servers[server] */
			uint16_t state : 3;                 /* enum flow_state */
		};
		uint16_t life; /* both, for who reads them at once: flow_life_state() */
	};
	uint16_t hop;       /* its client's, a place in flows.hops or HOPS_OWN: flows_client() */
	uint8_t flags;      /* FLOW_... */
	uint8_t wscales;    /* flow_wscale() */
	uint16_t bytes[2];  /* of frames that came from this end: the low part, see flows_bytes() */
	uint8_t packets[2]; /* these frames: the low part */
};

static_assert(sizeof(struct flow) == 64, "one cache line");
static_assert(offsetof(struct flow, next_seq) % 4 == 0 && offsetof(struct flow, flags) % 4 == 0,
              "aligned words");

/*
 * What few packets need, beside it by index: half a cache line. The engine counts in the flow
 * itself and carries over what exceeds that; another writer adds here. So a packet of the engine's
 * dirties one line.
 */
struct flow_cold {
	uint64_t bytes[2];        /* both add */
	uint32_t packets[2];      /* both add */
	uint8_t created_ms[5];    /* ms since the table was made, low byte first: 34 years; read as
	                             a word, with what follows */
	uint8_t reset_ms;         /* of its RST: ms since the tick in `last` began */
	uint8_t created_fraction; /* of the ms in created_ms, in FLOW_FRACTION_US */
	uint8_t unused;
};

/* In a queue: a flow, or FLOW_HEAD and the number of a head; FLOW_NONE: the end, or it stands in
 * none. */
struct flow_link {
	uint32_t next, prev;
};

#define FLOW_HEAD (1u << 31)

/*
 * What a flow needs by its state, beside it by index. While it is live: where its client is, if its
 * hop is HOPS_OWN, and while it is half-open its place among those. When it rests, or is free: its
 * places in queues, so that one that rests never has HOPS_OWN. Another reader may find links where
 * he looks for a hop: then the flow's life, which was written before, says that it is live no more.
 */
union flow_spare {
	struct {
		struct hop hop;
		uint8_t unused;
		uint32_t opening; /* flows.openings.at[opening] */
	};
	struct flow_link rests[2]; /* by enum flow_queue */
};

static_assert(sizeof(union flow_spare) == 16, "one of the arrays of table.h");

enum { FLOW_FRACTION_US = 4 };

#define FLOW_CREATED_MAX 0xffffffffffull /* of created_ms */

/*
 * What the flows of a server have carried, by the end that it came from. A packet isn't added to
 * it: a flow is, each time that FLOW_SUM_BYTES are full, and with the rest when it ends.
 */
struct flow_sum {
	uint64_t bytes[2];
};

enum { FLOW_SUM_BYTES = 1 << 16 };

static inline void flow_sum_add(struct flow_sum *sum, const struct flow_sum *more)
{
	for (unsigned i = 0; i < 2; i++)
		sum->bytes[i] += more->bytes[i];
}

static_assert(sizeof(struct flow_cold) == 32, "half a cache line");
static_assert(offsetof(struct flow_cold, created_ms) == sizeof(struct flow_cold) - sizeof(uint64_t),
              "a word");

/* The words that two may write. */
static inline uint32_t flow_next(const struct flow *flow, enum end end)
{
	return BOTH_READ(flow->next_seq[end]);
}

static inline uint32_t flow_acked(const struct flow *flow, enum end end)
{
	return BOTH_READ(flow->acked[end]);
}

static inline uint32_t flow_limit(const struct flow *flow, enum end end)
{
	return BOTH_READ(flow->limit[end]);
}

static inline uint32_t flow_last(const struct flow *flow)
{
	return BOTH_READ(flow->last);
}

static inline void flow_set_next(struct flow *flow, enum end end, uint32_t seq)
{
	BOTH_WRITE(flow->next_seq[end], seq);
}

static inline void flow_set_acked(struct flow *flow, enum end end, uint32_t seq)
{
	BOTH_WRITE(flow->acked[end], seq);
}

static inline void flow_set_limit(struct flow *flow, enum end end, uint32_t seq)
{
	BOTH_WRITE(flow->limit[end], seq);
}

static inline void flow_set_last(struct flow *flow, uint32_t tick)
{
	BOTH_WRITE(flow->last, tick);
}

/* The time in ticks, tick 0 having been at epoch. */
static inline uint32_t flow_tick(lb_time now, lb_time epoch)
{
	uint64_t ticks = (now.ns - epoch.ns) / FLOW_NS_PER_TICK;

	return ticks < FLOW_NEVER ? (uint32_t)ticks : FLOW_NEVER - 1;
}

/* Of a flow's life. */
static inline enum flow_state flow_life_state(uint16_t life)
{
	return (enum flow_state)(life >> FLOW_SERVER_BITS);
}

static inline uint16_t flow_life_server(uint16_t life)
{
	return life & FLOW_SERVER_MASK;
}

/* A reference: a flow and the end that a packet came from. */
static inline uint32_t flow_of(uint32_t ref)
{
	return ref >> 1;
}

static inline enum end end_of(uint32_t ref)
{
	return ref & 1 ? SERVER : CLIENT;
}

static inline enum end end_other(enum end end)
{
	return end == CLIENT ? SERVER : CLIENT;
}

/*
 * While the flow is half-open: the window scale option of that end's SYN, or PACKET_NO_WSCALE.
 * Afterwards: by how many bits its windows are to be shifted (RFC 7323, 2.3).
 */
static inline uint8_t flow_wscale(const struct flow *flow, enum end end)
{
	return BOTH_READ(flow->wscales) >> 4 * end & 0xf;
}

static inline void flow_set_wscale(struct flow *flow, enum end end, uint8_t wscale)
{
	BOTH_WRITE(flow->wscales, (uint8_t)((flow->wscales & 0xf0 >> 4 * end) | wscale << 4 * end));
}

/* If the flow is of IPv6, its addresses being names. */
static inline bool flow_is_ipv6(const struct flow *flow)
{
	return name_is_ipv6(flow->arrive[CLIENT].dst);
}

/* If its server sees an address of ours: that of its client is never one. */
static inline bool flow_has_snat(const struct flow *flow)
{
	return !be32_eq(flow->arrive[SERVER].dst, flow->arrive[CLIENT].src);
}

/* If the flow counts as a connection: neither free nor ended. */
static inline bool flow_is_live(const struct flow *flow)
{
	return flow->state >= FLOW_HALF_OPEN && flow->state <= FLOW_CLOSING;
}

/* If it has ended by our own RSTs. */
static inline bool flow_is_reset_by_us(const struct flow *flow)
{
	return (flow->flags & FLOW_RESET_BY_US) == FLOW_RESET_BY_US;
}

/* If both ends have sent FIN: then the flow is closing rather than open. */
static inline bool flow_is_closed(const struct flow *flow)
{
	const uint8_t fins = FLOW_FIN_SENT << CLIENT | FLOW_FIN_SENT << SERVER;

	return (flow->flags & fins) == fins;
}

/* If an end has sent FIN. */
static inline bool flow_is_closing(const struct flow *flow)
{
	return flow->flags & (FLOW_FIN_SENT << CLIENT | FLOW_FIN_SENT << SERVER);
}

/* If the index holds ref, a flow that is or was. */
static inline bool flow_is_listed(const struct flow *flow, enum end end)
{
	return flow->state != FLOW_FREE && (end == SERVER || !(flow->flags & FLOW_CLIENT_UNLISTED));
}

#endif
