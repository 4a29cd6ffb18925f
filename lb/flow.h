/*
 * Flows: the table of balanced TCP connections.
 *
 * A flow has two ends and holds the tuple with which packets arrive from either. A packet that
 * arrives as arrive[e] leaves as the reverse of arrive[!e]: rewriting has no direction. Flows are
 * named by their index; a reference is a flow and one of its ends.
 *
 * The table may be shared with a reader who notes what he forwards (lane.h). He sees a flow as open
 * or not at all, by this order:
 *
 *   published   the flow's words, its client's hop and address are written while it is free and in
 *               no bucket; then its life says half-open; then its references are written to
 * buckets, and last their tags. It is forwarded by a reader only when its life says open, which is
 * written after its windows. withdrawn   its life says so first when it is no longer open, before
 * anything else changes. When it is removed its tags go first, then its life says free, then its
 * hop is given back; its place rests at the tail of the free list. renumbered, moved to another
 * hop: one write of one word; what it names is written before, and isn't used for anything else
 * before HOPS_REST.
 *
 * A reader looks at the flow's life once more before he writes. If he is held up right then, what
 * he writes comes late: next_seq, acked, limit and last of a flow that has ended decide nothing but
 * when it is forgotten and which numbers a late packet is compared with; counts are counted on.
 */
#ifndef LB_FLOW_H
#define LB_FLOW_H

#include "arena.h"
#include "both.h"
#include "hops.h"
#include "index.h"
#include "name.h"
#include "table.h"

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
	 * into the server's TIME_WAIT.
	 */
	FLOW_QUARANTINE,
};

/* Flags of a flow; those of an end are shifted by enum end. */
enum {
	FLOW_FIN_SENT = 1 << 0,  /* << end */
	FLOW_SEQ_KNOWN = 1 << 2, /* << end: next_seq is valid */
	FLOW_SERVER_FIN_FIRST =
	        1 << 4, /* the server closed first, or at the same time: TIME_WAIT is there */
	FLOW_CLIENT_UNLISTED =
	        1 << 5,         /* arrive[CLIENT] is no longer in the index: a newer flow has it */
	FLOW_RST_SENT = 1 << 6, /* << end: ended by its RST */
	FLOW_RESET_BY_US = FLOW_RST_SENT << CLIENT |
	                   FLOW_RST_SENT << SERVER, /* both: whoever missed his gets another one */
};

enum { FLOW_SERVER_BITS = 13 };
#define FLOW_SERVER_MASK ((1u << FLOW_SERVER_BITS) - 1)

/*
 * Plain data without pointers; one cache line. Read by all of lb/, written by flow.c and tcp.c.
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
	uint8_t created_ms[5];    /* ms since the table was made, low byte first: 34 years */
	uint8_t reset_ms;         /* of its RST: ms since the tick in `last` began */
	uint8_t created_fraction; /* of the ms in created_ms, in FLOW_FRACTION_US */
	uint8_t ended;            /* FLOW_ENDED_..., as another writer notes that is alone */
};

enum { FLOW_FRACTION_US = 4 };

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

/* Of flow_cold.ended, << end: adopt.c makes the flow's own flags of it. */
enum { FLOW_ENDED_FIN = 1, FLOW_ENDED_RST = 4 };

static_assert(sizeof(struct flow_cold) == 32, "half a cache line");

/*
 * A flow stands in up to three queues, each oldest first: by its state (see struct flows), the one
 * of its pool of SNAT ports, and while it is half-open the one of its server. The latter two are
 * rings through a head, which belongs to the farms: so who leaves need not know which it was.
 */
enum flow_queue { FLOW_BY_STATE, FLOW_BY_POOL, FLOW_BY_SERVER, FLOW_QUEUES };

/* A flow, or FLOW_HEAD and the number of a head; FLOW_NONE: the end, or it stands in no queue. */
struct flow_link {
	uint32_t next, prev;
};

#define FLOW_HEAD (1u << 31)

struct flow_links {
	struct flow_link in[FLOW_QUEUES];
};

/* The hop of a flow whose hop is HOPS_OWN. */
struct flow_hop {
	struct hop hop;
	uint8_t unused;
};

/* Of flows 2 i and 2 i + 1, beside each other: see table.h. */
struct flow_hops {
	struct flow_hop of[2];
};

static_assert(sizeof(struct flow_hops) == 24, "each flow has one, used or not");

/* Of which numbers factors are made: those of tuples begin with 0. */
enum { FLOWS_FACTORS6 = 16 };

struct flow_list {
	uint32_t head, tail; /* FLOW_NONE: empty */
	uint32_t length;
};

/*
 * So many places are left free: as they are taken in the order in which they were given up, a place
 * isn't used again before so many others were, and who still reads or writes there late hits
 * nobody.
 */
enum { FLOWS_REST = 256, FLOWS_NAMES_MAX = 16384 /* RULES_NAMES_MAX */ };

struct flows {
	struct flow *flow; /* by index, as are: */
	struct flow_cold *cold;
	struct flow_links *links;
	struct flow_link *heads; /* of queues by pool and by server */
	struct flow_sum *sums;   /* by server, of the farms; or NULL: nobody wants to know */
	struct flow_hops *own;   /* hops of those for whom flows.hops has no room */
	struct ip6 *client6;     /* of IPv6 flows, if the client's name is a hash; NULL: no IPv6 */
	uint32_t *check_at;      /* tick at which to see if the flow has expired; FLOW_NEVER */
	uint32_t *stamps;        /* its client's timestamp (RFC 7323), of SYN or FIN; 0: none */
	struct index index;
	struct hops hops;
	struct hash_key key;
	uint64_t factors[4];  /* of flows_hash(), made of key, as are: */
	uint64_t factors6[5]; /* of name_hashed() */
	struct table_head *head;
	struct ip6 *names;           /* for who comes after: see table.h; NULL: nobody does */
	uint32_t capacity;           /* flows that there may be */
	uint32_t places;             /* elements of the arrays: FLOWS_REST more */
	uint32_t reached;            /* flows from here on were never used */
	struct flow_list free;       /* of those before reached */
	struct flow_list half_open;  /* oldest first */
	struct flow_list doomed;     /* flows_doom() */
	struct flow_list quarantine; /* and those that were reset; longest ended first */
};

static inline struct flow *flows_at(const struct flows *flows, uint32_t flow)
{
	return &flows->flow[flow];
}

/* The bytes of frames, and the frames, that came from end. */
static inline uint64_t flows_bytes(const struct flows *flows, uint32_t flow, enum end end)
{
	return BOTH_READ(flows->cold[flow].bytes[end]) + flows->flow[flow].bytes[end];
}

/* Those of them that aren't in the sum of its server while it lives. */
static inline uint64_t flows_unsummed(const struct flows *flows, uint32_t flow, enum end end)
{
	return BOTH_READ(flows->cold[flow].bytes[end]) % FLOW_SUM_BYTES +
	       flows->flow[flow].bytes[end];
}

static inline uint32_t flows_packets(const struct flows *flows, uint32_t flow, enum end end)
{
	return BOTH_READ(flows->cold[flow].packets[end]) + flows->flow[flow].packets[end];
}

/* Where a flow's hop is if that is HOPS_OWN. */
static inline struct flow_hop *flows_own(const struct flows *flows, uint32_t flow)
{
	return &flows->own[flow / 2].of[flow % 2];
}

/* Where the client's last packet came from; all zeros before the first. */
static inline const struct hop *flows_client(const struct flows *flows, uint32_t flow)
{
	const uint16_t place = flows->flow[flow].hop;

	return place == HOPS_OWN ? &flows_own(flows, flow)->hop : &flows->hops.places[place].hop;
}

/* The flow that follows on its list, or FLOW_NONE. */
static inline uint32_t flows_behind(const struct flows *flows, uint32_t flow)
{
	return flows->links[flow].in[FLOW_BY_STATE].next;
}

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

/* Takes an empty table of capacity flows from arena, or the arrays of its table (table.h). */
void flows_lay_out(struct flows *flows, struct arena *arena, uint32_t capacity,
                   struct hash_key key);

/* Says which IPv6 addresses the names are that flows hold, for a process that comes after this. */
void flows_note_names(struct flows *flows, const struct ip6 *names, uint32_t n);

/* Says in the table's head that it is ready for readers, tick 0 having been at epoch. */
void flows_announce(struct flows *flows, lb_time epoch);

/* The bytes, aligned to ARENA_ALIGN, that IPv6 flows need beside; and takes them into use. */
size_t flows_ip6_size(const struct flows *flows);
void flows_use_ip6(struct flows *flows, void *mem);

/* What a flow is looked up by. */
struct flow_key {
	struct tuple tuple;
	bool ipv6;                /* its addresses are names */
	const struct ip6 *hashed; /* the address of which the tuple has only the hash, or NULL */
};

static inline uint64_t flows_hash(const struct flows *flows, const struct tuple *tuple)
{
	return tuple_multilinear(flows->factors, tuple);
}

/* The reference whose arriving tuple is that of key, its hash given, or FLOW_NONE. */
uint32_t flows_find(const struct flows *flows, const struct flow_key *key, uint64_t hash);

/* Fetches the flow into the cache; and, once it and its links are there, what forgetting it touches
 * elsewhere, but for what a log is told. */
static inline void flows_prefetch(const struct flows *flows, uint32_t flow)
{
	__builtin_prefetch(flows_at(flows, flow), 1);
}

void flows_prefetch_places(const struct flows *flows, uint32_t flow);

/*
 * A guess at that, FLOW_NONE included, from the index alone, whose bucket should be in the cache;
 * and fetches the flow into it, and the one that it will be if the guess is wrong.
 */
static inline uint32_t flows_guess(const struct flows *flows, uint64_t hash)
{
	uint32_t second, ref = index_guess(&flows->index, hash, &second);

	if (ref == INDEX_NONE)
		return FLOW_NONE;
	flows_prefetch(flows, flow_of(ref));
	if (second != INDEX_NONE)
		flows_prefetch(flows, flow_of(second));
	return ref;
}

/* Fetches the client's address of an IPv6 flow, or of FLOW_NONE nothing: by reading it, which isn't
 * waited for. Of three prefetches a packet the processor drops too many. */
static inline void flows_fetch_ip6(const struct flows *flows, uint32_t ref)
{
	if (ref != FLOW_NONE)
		(void)*(const volatile uint8_t *)&flows->client6[flow_of(ref)];
}

/* If the tuple of that flow and end is the key's. */
static inline bool flow_is_of(const struct flows *flows, uint32_t ref, const struct flow_key *key)
{
	const struct flow *flow = flows_at(flows, flow_of(ref));

	if (!tuple_eq(&flow->arrive[end_of(ref)], &key->tuple))
		return false;
	if (!flows->client6)
		return true;
	return flow_is_ipv6(flow) == key->ipv6 &&
	       (!key->hashed || ip6_eq(&flows->client6[flow_of(ref)], key->hashed));
}

/* If the index holds ref, a flow that is or was. */
static inline bool flow_is_listed(const struct flow *flow, enum end end)
{
	return flow->state != FLOW_FREE && (end == SERVER || !(flow->flags & FLOW_CLIENT_UNLISTED));
}

/* The same as flows_find(), sooner if the guess was right; flows may have come and gone since. */
static inline uint32_t flows_find_guessed(const struct flows *flows, const struct flow_key *key,
                                          uint64_t hash, uint32_t guess)
{
	if (guess != FLOW_NONE && flow_is_of(flows, guess, key) &&
	    flow_is_listed(flows_at(flows, flow_of(guess)), end_of(guess)))
		return guess;
	return flows_find(flows, key, hash);
}

/* Makes n heads of empty queues; and takes heads into use: all flows stand in none of theirs. */
void flows_begin_heads(struct flow_link *heads, uint32_t n);
void flows_use_heads(struct flows *flows, struct flow_link *heads);

/* Has the sums of servers kept there from now on. */
static inline void flows_use_sums(struct flows *flows, struct flow_sum *sums)
{
	flows->sums = sums;
}

/* Puts the flow at the end of the queue of this head, where it stands until its state changes. */
void flows_queue(struct flows *flows, uint32_t flow, enum flow_queue queue, uint32_t head);

/* The flow that stands in it for longest, or FLOW_NONE. */
static inline uint32_t flows_oldest(const struct flows *flows, uint32_t head)
{
	const uint32_t first = flows->heads[head].next;

	return first & FLOW_HEAD ? FLOW_NONE : first;
}

/* If flows_add() would find room. */
bool flows_have_room(const struct flows *flows);

/*
 * Makes a half-open flow of the two tuples, neither of which is listed yet, to be looked at again
 * at tick check_at; client6 is the client's address if its name is a hash, else NULL. There must be
 * room. Returns its index.
 */
uint32_t flows_add(struct flows *flows, const struct tuple arrive[2], const struct ip6 *client6,
                   uint16_t server, uint64_t now_ms, uint32_t check_at);

/* When the flow was made, in ms since the table was. */
uint64_t flows_created_ms(const struct flows *flows, uint32_t flow);

/* Forgets the flow, whatever its state. */
void flows_remove(struct flows *flows, uint32_t flow);

/* Notes the timestamp with which the client begins or ends; 0: it has none. */
void flows_set_stamp(struct flows *flows, uint32_t flow, uint32_t stamp);

/*
 * Of flows that were found in the table (adopt.c), whose words are as another process left them:
 * takes one into use as open, closing or quarantined, flows_hash() of its tuples being given; gives
 * one up; puts one aside, free but for its place, until it is undoomed; names its addresses anew,
 * its own address being in client6; has another place for its hop; and was made at another time.
 */
void flows_adopt(struct flows *flows, uint32_t flow, enum flow_state state,
                 const uint64_t hashes[2]);
void flows_abandon(struct flows *flows, uint32_t flow);
void flows_rename(struct flows *flows, uint32_t flow, const struct tuple arrive[2]);
void flows_doom(struct flows *flows, uint32_t flow);
void flows_undoom(struct flows *flows, uint32_t flow);
void flows_set_hop(struct flows *flows, uint32_t flow, uint16_t hop);
void flows_set_created_ms(struct flows *flows, uint32_t flow, uint64_t ms);

/* Takes arrive[CLIENT] out of the index, for a newer flow of the same client and port. */
void flows_unlist_client(struct flows *flows, uint32_t flow);

/* Puts it in again, the newer flow being gone. */
void flows_list_client(struct flows *flows, uint32_t flow);

/* Ends a live flow: it begins to rest in quarantine now. flags are added to its own. */
void flows_quarantine(struct flows *flows, uint32_t flow, uint8_t flags, uint32_t now);

/* Ends a live flow by a RST that end has sent: it may be revived up to flows_bury(). */
void flows_reset(struct flows *flows, uint32_t flow, enum end end, uint64_t now_ms);

/* When that was, in ms since the table was made. */
uint64_t flows_reset_ms(const struct flows *flows, uint32_t flow);

/* Makes a flow that was reset live again: open, or closing. Its limit[] has been set anew. */
void flows_revive(struct flows *flows, uint32_t flow);

/* Moves it to quarantine for good. */
void flows_bury(struct flows *flows, uint32_t flow);

/* The flow's client is answered at hop, whose place it has taken: HOPS_OWN if there was none. */
void flows_set_client(struct flows *flows, uint32_t flow, uint16_t place, const struct hop *hop);

/* Adds to what came from end, beyond what the flow itself counts: bytes in whole FLOW_SUM_BYTES. */
void flows_carry(struct flows *flows, uint32_t flow, enum end end, uint64_t bytes,
                 uint32_t packets);

/* Changes the flow's server, when servers are numbered anew. */
void flows_renumber(struct flows *flows, uint32_t flow, uint16_t server);

/* Makes a quarantined flow half-open again, as if flows_add() had just made it. */
void flows_reopen(struct flows *flows, uint32_t flow, uint64_t now_ms);

/* From half-open or open to another live state but half-open. */
void flows_set_state(struct flows *flows, uint32_t flow, enum flow_state state);

/* Sees to it that the flow is looked at by tick at the latest. */
void flows_check_by(struct flows *flows, uint32_t flow, uint32_t at);

/* After a look: says when to look next. */
void flows_check_again(struct flows *flows, uint32_t flow, uint32_t at);

/* Notes that one of its ends was heard of at tick now. */
static inline void flows_heard(struct flows *flows, uint32_t flow, uint32_t now)
{
	BOTH_WRITE(flows_at(flows, flow)->last, now);
}

/* Notes a packet of len bytes that came from end at tick now. */
static inline void flows_count(struct flows *flows, uint32_t f, enum end end, uint32_t len,
                               uint32_t now)
{
	struct flow *flow = flows_at(flows, f);
	uint64_t bytes = (uint64_t)flow->bytes[end] + len;
	uint32_t packets = flow->packets[end] + 1u;

	flow_set_last(flow, now);
	flow->bytes[end] = (uint16_t)bytes;
	flow->packets[end] = (uint8_t)packets;
	if (bytes >> 16 | packets >> 8)
		flows_carry(flows, f, end, bytes & ~(uint64_t)UINT16_MAX,
		            packets & ~(uint32_t)UINT8_MAX);
}

/*
 * The next flow in [*cursor, limit) whose check_at is now or earlier, or FLOW_NONE; *cursor moves
 * behind it, or to limit. Fetches its links into the cache.
 */
uint32_t flows_next_due(const struct flows *flows, uint32_t *cursor, uint32_t limit, uint32_t now);

#endif
