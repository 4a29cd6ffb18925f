/*
 * Flows: the table of balanced TCP connections.
 *
 * The table may be shared with a reader who notes what he forwards (lane.h). He sees a flow as open
 * or not at all, by this order:
 *
 * Published: the flow's words, its client's hop and address are written while it is free and in no
 * bucket; then its life says half-open; then its references are written to buckets, and last their
 * tags. It is forwarded by a reader only when its life says open, which is written after its
 * windows.
 *
 * Withdrawn: its life says so first when it is no longer open, before anything else changes. When
 * it is removed its tags go first, then its life says free, then its hop is given back; its place
 * rests at the tail of the free list.
 *
 * Renumbered, or moved to another hop: one write of one word; what it names is written before, and
 * isn't used for anything else before HOPS_REST. Only of who keeps his hop himself is that
 * overwritten: when he rests, after his life says so, or by his next one. Then, and when a
 * neighbour moves with all who have his place, a reader may meet words of both: his segment is
 * lost, as those are that went to the old place a moment before.
 *
 * A reader looks at the flow's life once more before he writes. If he is held up right then, what
 * he writes comes late: next_seq, acked, limit and last of a flow that has ended decide nothing but
 * when it is forgotten and which numbers a late packet is compared with; counts are counted on.
 */
#ifndef LB_FLOWS_H
#define LB_FLOWS_H

#include "arena.h"
#include "flow.h"
#include "due.h"
#include "hops.h"
#include "index.h"
#include "openings.h"
#include "table.h"

/* The hash's factors are made from the key and a number: those of tuples from 0 on, those of IPv6
 * addresses from this one on. */
enum { FLOWS_FACTORS6 = 16 };

/*
 * So many places are left free: as they are taken in the order in which they were given up, a place
 * isn't used again before so many others were, and who still reads or writes there late hits
 * nobody.
 */
enum { FLOWS_REST = 256, FLOWS_NAMES_MAX = 16384 /* RULES_NAMES_MAX */ };

struct flows {
	struct flow *flow; /* by index, as are: */
	struct flow_cold *cold;
	struct flow_sum *sums; /* by server, of the farms; or NULL: nobody wants to know */
	union flow_spare *spare;
	struct ip6 *client6; /* of IPv6 flows, if the client's name is a hash; NULL: no IPv6 */
	uint32_t *check_at;  /* tick at which to see if the flow has expired; FLOW_NEVER */
	uint32_t *stamps;    /* its client's timestamp (RFC 7323), of SYN or FIN; 0: none */
	struct index index;
	struct hops hops;
	struct hash_key key;
	uint64_t factors[4];  /* of flows_hash(), made of key, as are: */
	uint64_t factors6[5]; /* of name_hashed() */
	struct table_head *head;
	uint64_t *notes; /* of another writer: notes.h; NULL: there is none */
	/* for the process that takes the table over: see table.h; NULL: none will */
	struct ip6 *names;
	const struct ip6 *known;     /* the rules' names, which are those that flows hold */
	uint32_t capacity;           /* flows that there may be */
	uint32_t places;             /* elements of the arrays: FLOWS_REST more */
	uint32_t reached;            /* flows from here on were never used */
	struct queues resting;       /* of flows: */
	struct flow_list free;       /* those before reached */
	struct flow_list doomed;     /* flows_doom() */
	struct flow_list quarantine; /* and those that were reset; longest ended first */
	struct openings openings;    /* half-open ones */
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

/* The bytes of these that haven't been added to the sum of the flow's server yet. */
static inline uint64_t flows_unsummed(const struct flows *flows, uint32_t flow, enum end end)
{
	return BOTH_READ(flows->cold[flow].bytes[end]) % FLOW_SUM_BYTES +
	       flows->flow[flow].bytes[end];
}

static inline uint32_t flows_packets(const struct flows *flows, uint32_t flow, enum end end)
{
	return BOTH_READ(flows->cold[flow].packets[end]) + flows->flow[flow].packets[end];
}

/* Where the client's last packet came from; all zeros before the first. */
static inline const struct hop *flows_client(const struct flows *flows, uint32_t flow)
{
	const uint16_t place = flows->flow[flow].hop;

	return place == HOPS_OWN ? &flows->spare[flow].hop : &flows->hops.places[place].hop;
}

/* The half-open flow that is so for longest, and the one that follows upon it; and the same of
 * those that rest. Or FLOW_NONE. */
static inline uint32_t flows_first_half_open(const struct flows *flows)
{
	return openings_flow(&flows->openings, flows->openings.list.head);
}

static inline uint32_t flows_next_half_open(const struct flows *flows, uint32_t flow)
{
	const struct opening *at = &flows->openings.at[flows->spare[flow].opening];

	return openings_flow(&flows->openings, at->in[FLOW_BY_STATE].next);
}

static inline uint32_t flows_next_resting(const struct flows *flows, uint32_t flow)
{
	return flows->spare[flow].rests[FLOW_BY_STATE].next;
}

/* Takes an empty table of capacity flows, half_open of which may be so, from arena, or the arrays
 * of its table (table.h). */
void flows_lay_out(struct flows *flows, struct arena *arena, uint32_t capacity, uint32_t half_open,
                   struct hash_key key);

/* Says which IPv6 addresses the names are that flows hold, for a process that comes after this. */
void flows_note_names(struct flows *flows, const struct ip6 *names, uint32_t n);

/*
 * Says the same to the table itself. They are the rules', which only add to them, and stay theirs.
 */
static inline void flows_use_names(struct flows *flows, const struct ip6 *names)
{
	flows->known = names;
}

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

/*
 * The hash by which the index finds what arrives with that tuple; if that is of IPv6 its addresses
 * are names. Of a source that has a name the hash of its address counts instead: so who reads a
 * packet has to look for one name only, its destination's. flows_hash_read() is for him: the source
 * is its hash already.
 */
static inline uint64_t flows_hash_read(const struct flows *flows, const struct tuple *tuple)
{
	return tuple_multilinear(flows->factors, tuple);
}

static inline uint64_t flows_hash(const struct flows *flows, const struct tuple *tuple, bool ipv6)
{
	struct tuple hashed = *tuple;

	if (ipv6 && !name_is_hashed(tuple->src))
		hashed.src = name_hashed(flows->factors6, &flows->known[name_index(tuple->src)]);
	return flows_hash_read(flows, &hashed);
}

/* The same of a key, and of what arrives from an end of a flow. */
static inline uint64_t flows_hash_key(const struct flows *flows, const struct flow_key *key)
{
	return flows_hash(flows, &key->tuple, key->ipv6);
}

static inline uint64_t flows_hash_end(const struct flows *flows, uint32_t f, enum end end)
{
	const struct flow *flow = flows_at(flows, f);

	return flows_hash(flows, &flow->arrive[end], flow_is_ipv6(flow));
}

/* The reference whose arriving tuple is that of key, its hash given, or FLOW_NONE. */
uint32_t flows_find(const struct flows *flows, const struct flow_key *key, uint64_t hash);

/* flows_prefetch() fetches the flow into the cache; the second one, when flow and links are there,
 * what forgetting it touches elsewhere, but for the record of its end. */
static inline void flows_prefetch(const struct flows *flows, uint32_t flow)
{
	__builtin_prefetch(flows_at(flows, flow), 1);
}

void flows_prefetch_places(const struct flows *flows, uint32_t flow);

/* Fetches what is at p by reading it, which isn't waited for: of many prefetches the processor
 * drops some. */
static inline void flows_fetch(const void *p)
{
	(void)*(const volatile uint8_t *)p;
}

/* Fetches what stands beside a flow that is answered; and beside one that opens or ends, but for an
 * open one, which still has that before it. */
static inline void flows_fetch_answer(const struct flows *flows, uint32_t flow)
{
	flows_fetch(&flows->cold[flow]);
}

static inline void flows_fetch_turn(const struct flows *flows, uint32_t flow)
{
	const uint32_t state = flows_at(flows, flow)->state;

	if (state == FLOW_OPEN)
		return;
	flows_fetch(&flows->spare[flow]);
	flows_fetch(&flows->check_at[flow]);
	if (state != FLOW_HALF_OPEN)
		flows_fetch(&flows->cold[flow]);
}

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

/* Fetches the client's address of an IPv6 flow, or of FLOW_NONE nothing. Inlined early: gcc would
 * leave out the call of a function that does nothing but this. */
static inline __attribute__((always_inline)) void flows_prefetch_ip6(const struct flows *flows,
                                                                     uint32_t ref)
{
	if (ref != FLOW_NONE)
		__builtin_prefetch(&flows->client6[flow_of(ref)]);
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

/* The same as flows_find(), sooner if the guess was right; flows may have come and gone since. */
static inline uint32_t flows_find_guessed(const struct flows *flows, const struct flow_key *key,
                                          uint64_t hash, uint32_t guess)
{
	if (guess != FLOW_NONE && flow_is_of(flows, guess, key) &&
	    flow_is_listed(flows_at(flows, flow_of(guess)), end_of(guess)))
		return guess;
	return flows_find(flows, key, hash);
}

/* Takes the heads of queues into use: all flows stand in none of theirs. */
void flows_use_heads(struct flows *flows, struct flow_link *heads);

/* From now on adds what servers' flows carry to sums, by server. */
static inline void flows_use_sums(struct flows *flows, struct flow_sum *sums)
{
	flows->sums = sums;
}

/* Puts a flow that is half-open, or rests, at the end of the queue of this head, where it stands
 * until its state changes. */
void flows_queue_half_open(struct flows *flows, uint32_t flow, enum flow_queue queue,
                           uint32_t head);
void flows_queue_resting(struct flows *flows, uint32_t flow, uint32_t head);

/* The flow that stands in such a queue for longest, or FLOW_NONE. */
static inline uint32_t flows_oldest_half_open(const struct flows *flows, uint32_t head)
{
	return openings_flow(&flows->openings, flows->openings.queues.heads[head].next);
}

static inline uint32_t flows_oldest_resting(const struct flows *flows, uint32_t head)
{
	const uint32_t first = flows->resting.heads[head].next;

	return first & FLOW_HEAD ? FLOW_NONE : first;
}

/* The one that follows upon it in its queue by pool, or FLOW_NONE. */
static inline uint32_t flows_younger_half_open(const struct flows *flows, uint32_t flow)
{
	const struct opening *at = &flows->openings.at[flows->spare[flow].opening];

	return openings_flow(&flows->openings, at->in[FLOW_BY_POOL].next);
}

static inline uint32_t flows_younger_resting(const struct flows *flows, uint32_t flow)
{
	const uint32_t next = flows->spare[flow].rests[FLOW_BY_POOL].next;

	return next & FLOW_HEAD ? FLOW_NONE : next;
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

/* Fetches what the next one will need into the cache. */
void flows_foresee(const struct flows *flows);

/* When the flow was made, in ms since the table was. */
static inline uint64_t flows_created_ms(const struct flows *flows, uint32_t f)
{
	return word64_load(flows->cold[f].created_ms) & FLOW_CREATED_MAX;
}

/* Forgets the flow, whatever its state. */
void flows_remove(struct flows *flows, uint32_t flow);

/* Notes the timestamp with which the client begins or ends; 0: it has none. */
void flows_set_stamp(struct flows *flows, uint32_t flow, uint32_t stamp);

/*
 * For flows that were found in the table (adopt.c), whose words are as another process left them,
 * in the order below: takes one into use as half-open, open, closing or quarantined, flows_hash()
 * of its tuples being given; gives one up; sets one aside, which keeps its place and nothing else,
 * until flows_undoom(); gives its addresses other names, the client's address being in client6;
 * sets the place of its hop; and sets the time when it was made.
 */
void flows_adopt(struct flows *flows, uint32_t flow, enum flow_state state,
                 const uint64_t hashes[2]);
void flows_abandon(struct flows *flows, uint32_t flow);
void flows_rename(struct flows *flows, uint32_t flow, const struct tuple arrive[2]);
void flows_doom(struct flows *flows, uint32_t flow);
void flows_undoom(struct flows *flows, uint32_t flow);
void flows_set_hop(struct flows *flows, uint32_t flow, uint16_t hop);

static inline void flows_set_created_ms(struct flows *flows, uint32_t f, uint64_t ms)
{
	memcpy(flows->cold[f].created_ms, &ms, sizeof(flows->cold[f].created_ms));
}

/* Gives a flow that is in the index other names for the same addresses. */
void flows_name(struct flows *flows, uint32_t flow, const struct tuple arrive[2]);

/* Takes arrive[CLIENT] out of the index, for a newer flow of the same client and port. */
void flows_unlist_client(struct flows *flows, uint32_t flow);

/* Puts it into the index again when the newer flow is gone. */
void flows_list_client(struct flows *flows, uint32_t flow);

/* Ends a live flow: it begins to rest in quarantine now. flags are added to its own. */
void flows_quarantine(struct flows *flows, uint32_t flow, uint8_t flags, uint32_t now);

/* Ends a live flow by a RST that end has sent: it may be revived up to flows_bury(). */
void flows_reset(struct flows *flows, uint32_t flow, enum end end, uint64_t now_ms);

/* When it was reset, in ms since the table was made. */
uint64_t flows_reset_ms(const struct flows *flows, uint32_t flow);

/* Makes a flow that was reset live again: open, or closing. Its limit[] has been set anew. */
void flows_revive(struct flows *flows, uint32_t flow);

/* Moves a flow that was reset to quarantine: it won't be revived. */
void flows_bury(struct flows *flows, uint32_t flow);

/* From now on the flow's client is answered at hop, of which the flow has taken the place; or
 * HOPS_OWN, and hop is kept with the flow itself, but not by one that rests. */
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

/* Has expire.c look at the flow by tick at, at the latest. */
void flows_check_by(struct flows *flows, uint32_t flow, uint32_t at);

/* Sets the tick at which to look at the flow next, having just looked. */
void flows_check_again(struct flows *flows, uint32_t flow, uint32_t at);

/* Notes that a packet of the flow's came at tick now: moves its deadline. */
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
 * behind it, or to limit. Fetches its spare part into the cache.
 */
static inline uint32_t flows_next_due(const struct flows *flows, uint32_t *cursor, uint32_t limit,
                                      uint32_t now)
{
	const uint32_t f = due_next(flows->check_at, cursor, limit, now);

	if (f == limit)
		return FLOW_NONE;
	__builtin_prefetch(&flows->spare[f], 1);
	return f;
}

#endif
