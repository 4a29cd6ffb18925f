/*
 * The flow table: how a flow begins, changes and ends, and the index over both tuples. Where it
 * all lies is storage.c's.
 *
 * Timers: check_at is when to look at a flow, not when it expires; a packet only notes the time in
 * flow.last, and whoever looks computes the true deadline. So traffic moves no list and no wheel,
 * and finding who is due is a scan over four bytes a flow (balance.c spreads it over a second).
 */
#include "flows.h"

#include "notes.h"

/* created_ms takes the low bytes of a number as they stand in memory */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "low byte first");

void flows_use_heads(struct flows *flows, struct flow_link *heads)
{
	struct openings *openings = &flows->openings;

	openings->queues.heads = flows->resting.heads = heads;
	for (uint32_t f = flows_first_half_open(flows); f != FLOW_NONE;
	     f = flows_next_half_open(flows, f))
		openings_stand_apart(openings, flows->spare[f].opening);
	for (uint32_t f = flows->quarantine.head; f != FLOW_NONE; f = flows_next_resting(flows, f))
		queues_stand_apart(&flows->resting, f, FLOW_BY_POOL);
}

void flows_queue_half_open(struct flows *flows, uint32_t f, enum flow_queue queue, uint32_t head)
{
	queues_join(&flows->openings.queues, flows->spare[f].opening, queue, head);
}

void flows_queue_resting(struct flows *flows, uint32_t f, uint32_t head)
{
	queues_join(&flows->resting, f, FLOW_BY_POOL, head);
}

uint32_t flows_find(const struct flows *flows, const struct flow_key *key, uint64_t hash)
{
	struct index_walk walk = index_start(&flows->index, hash);
	uint32_t ref;

	while ((ref = index_next(&flows->index, &walk)) != INDEX_NONE)
		if (flow_is_of(flows, ref, key))
			return ref;
	return FLOW_NONE;
}

void flows_prefetch_places(const struct flows *flows, uint32_t f)
{
	const struct flow *flow = flows_at(flows, f);

	index_prefetch(&flows->index, flows_hash_end(flows, f, CLIENT));
	index_prefetch(&flows->index, flows_hash_end(flows, f, SERVER));
	if (flow->state != FLOW_RESET && flow->state != FLOW_QUARANTINE)
		return; /* it stands in no queue, or in one of the half-open ones */
	queues_prefetch(&flows->resting, f, FLOW_BY_STATE);
	queues_prefetch(&flows->resting, f, FLOW_BY_POOL);
}

bool flows_have_room(const struct flows *flows)
{
	return flows->reached - flows->free.length < flows->capacity;
}

static void list_end(struct flows *flows, uint32_t f, enum end end, bool add)
{
	uint64_t hash = flows_hash_end(flows, f, end);
	uint32_t ref = f << 1 | (uint32_t)end;

	if (add)
		index_add(&flows->index, hash, ref);
	else
		index_remove(&flows->index, hash, ref);
}

static uint32_t tick_of_ms(uint64_t ms)
{
	uint64_t tick = ms / FLOW_MS_PER_TICK;

	return tick < FLOW_NEVER ? (uint32_t)tick : FLOW_NEVER - 1;
}

/* Writes the flow's server and state, in one word: a reader who sees it sees all that was written
 * before. */
static void set_life(struct flow *flow, uint16_t server, enum flow_state state)
{
	const uint16_t life = (uint16_t)(state << FLOW_SERVER_BITS | (server & FLOW_SERVER_MASK));

	BOTH_WRITE_LAST(flow->life, life);
}

static void set_state(struct flow *flow, enum flow_state state)
{
	set_life(flow, flow->server, state);
}

static void set_hop(struct flow *flow, uint16_t hop)
{
	BOTH_WRITE_LAST(flow->hop, hop);
}

static void clear_end(struct flows *flows, uint32_t f, enum end end)
{
	struct flow *flow = flows_at(flows, f);

	flow_set_next(flow, end, 0);
	flow_set_acked(flow, end, 0);
	flow_set_limit(flow, end, 0);
	BOTH_WRITE(flows->cold[f].bytes[end], 0);
	BOTH_WRITE(flows->cold[f].packets[end], 0);
	flow->bytes[end] = 0;
	flow->packets[end] = 0;
}

/* A half-open flow as it begins, without its place in the index. */
static void begin(struct flows *flows, uint32_t f, const struct tuple arrive[2], uint16_t server,
                  uint64_t now_ms)
{
	struct flow *flow = flows_at(flows, f);

	for (enum end end = CLIENT; end <= SERVER; end++) {
		both_copy(&flow->arrive[end], &arrive[end], sizeof(arrive[end]));
		clear_end(flows, f, end);
	}
	flow_set_last(flow, tick_of_ms(now_ms));
	set_hop(flow, HOPS_NOWHERE);
	hops_take_place(&flows->hops, HOPS_NOWHERE);
	flow->flags = 0;
	BOTH_WRITE(flow->wscales, (uint8_t)0);
	flows_set_created_ms(flows, f, now_ms);
	flows->stamps[f] = 0;
	flows->cold[f].reset_ms = 0;
	if (flows->notes)
		notes_take(flows->notes, f); /* forgets a note that came late, of the flow that had
		                                the place before */
	set_life(flow, server, FLOW_HALF_OPEN);
	flows->spare[f].opening = openings_take(&flows->openings, f);
}

/* The place of the next new flow, if there is room. */
static uint32_t next_place(const struct flows *flows)
{
	return flows->reached < flows->places && flows->free.length <= FLOWS_REST
	               ? flows->reached
	               : flows->free.head;
}

void flows_foresee(const struct flows *flows)
{
	const uint32_t f = next_place(flows);

	if (f == FLOW_NONE)
		return;
	flows_prefetch(flows, f);
	__builtin_prefetch(&flows->cold[f], 1);
	__builtin_prefetch(&flows->spare[f], 1);
	openings_prefetch(&flows->openings, flows->openings.vacant);
}

uint32_t flows_add(struct flows *flows, const struct tuple arrive[2], const struct ip6 *client6,
                   uint16_t server, uint64_t now_ms, uint32_t check_at)
{
	const uint32_t f = next_place(flows);

	if (f == flows->reached)
		flows->reached++;
	else
		queues_remove(&flows->resting, &flows->free, f);
	if (client6)
		both_copy(&flows->client6[f], client6, sizeof(*client6));
	begin(flows, f, arrive, server, now_ms);
	flows->check_at[f] = check_at;
	list_end(flows, f, CLIENT, true);
	list_end(flows, f, SERVER, true);
	return f;
}

/* Takes the flow off the queues that its state has. */
static void leave_queues(struct flows *flows, uint32_t f)
{
	const uint32_t state = flows_at(flows, f)->state;

	if (state == FLOW_HALF_OPEN) {
		openings_leave(&flows->openings, flows->spare[f].opening);
	} else if (state == FLOW_RESET || state == FLOW_QUARANTINE) {
		queues_leave(&flows->resting, f, FLOW_BY_POOL);
		queues_remove(&flows->resting, &flows->quarantine, f);
	}
}

/* Has the flow stand in the queues of those that rest. Its life has been written already; from now
 * on its spare part holds links. */
static void rest(struct flows *flows, uint32_t f)
{
	struct flow *flow = flows_at(flows, f);
	struct hop hop;

	if (flow->hop == HOPS_OWN) {
		hop = flows->spare[f].hop;
		set_hop(flow, hops_take_anywhere(&flows->hops, &hop, flow_last(flow)));
		hops_give_back(&flows->hops, HOPS_OWN, flow_last(flow));
	}
	__atomic_thread_fence(__ATOMIC_RELEASE);
	queues_append(&flows->resting, &flows->quarantine, f);
	queues_stand_apart(&flows->resting, f, FLOW_BY_POOL);
}

void flows_remove(struct flows *flows, uint32_t f)
{
	flows_unlist_client(flows, f);
	list_end(flows, f, SERVER, false);
	leave_queues(flows, f);
	set_state(flows_at(flows, f), FLOW_FREE);
	hops_give_back(&flows->hops, flows_at(flows, f)->hop, flow_last(flows_at(flows, f)));
	flows->check_at[f] = FLOW_NEVER;
	queues_append(&flows->resting, &flows->free, f);
}

void flows_adopt(struct flows *flows, uint32_t f, enum flow_state state, const uint64_t hashes[2])
{
	struct flow *flow = flows_at(flows, f);
	const uint16_t server = flow->server;

	hops_take_place(&flows->hops, flow->hop);
	if (!(flow->flags & FLOW_CLIENT_UNLISTED))
		index_add(&flows->index, hashes[CLIENT], f << 1 | CLIENT);
	index_add(&flows->index, hashes[SERVER], f << 1 | SERVER);
	set_life(flow, server, state);
	if (state == FLOW_QUARANTINE)
		rest(flows, f);
	if (state == FLOW_HALF_OPEN)
		flows->spare[f].opening = openings_take(&flows->openings, f);
}

void flows_abandon(struct flows *flows, uint32_t f)
{
	set_state(flows_at(flows, f), FLOW_FREE);
	flows->check_at[f] = FLOW_NEVER;
	queues_append(&flows->resting, &flows->free, f);
}

void flows_doom(struct flows *flows, uint32_t f)
{
	set_state(flows_at(flows, f), FLOW_FREE);
	flows->check_at[f] = FLOW_NEVER;
	if (flows_at(flows, f)->hop == HOPS_OWN)
		set_hop(flows_at(flows, f), HOPS_NOWHERE);
	queues_append(&flows->resting, &flows->doomed, f);
}

void flows_undoom(struct flows *flows, uint32_t f)
{
	queues_remove(&flows->resting, &flows->doomed, f);
	queues_append(&flows->resting, &flows->free, f);
}

void flows_rename(struct flows *flows, uint32_t f, const struct tuple arrive[2])
{
	struct flow *flow = flows_at(flows, f);
	const enum flow_state state = (enum flow_state)flow->state;

	if (tuple_eq(&flow->arrive[CLIENT], &arrive[CLIENT]) &&
	    tuple_eq(&flow->arrive[SERVER], &arrive[SERVER]))
		return;
	set_state(flow, FLOW_FREE); /* nobody reads it meanwhile */
	for (enum end end = CLIENT; end <= SERVER; end++)
		both_copy(&flow->arrive[end], &arrive[end], sizeof(arrive[end]));
	set_state(flow, state);
}

void flows_name(struct flows *flows, uint32_t f, const struct tuple arrive[2])
{
	const bool listed = !(flows_at(flows, f)->flags & FLOW_CLIENT_UNLISTED);

	if (listed)
		list_end(flows, f, CLIENT, false);
	list_end(flows, f, SERVER, false);
	flows_rename(flows, f, arrive);
	if (listed)
		list_end(flows, f, CLIENT, true);
	list_end(flows, f, SERVER, true);
}

void flows_set_hop(struct flows *flows, uint32_t f, uint16_t hop)
{
	set_hop(flows_at(flows, f), hop);
}

void flows_unlist_client(struct flows *flows, uint32_t f)
{
	if (flows_at(flows, f)->flags & FLOW_CLIENT_UNLISTED)
		return;
	list_end(flows, f, CLIENT, false);
	flows_at(flows, f)->flags |= FLOW_CLIENT_UNLISTED;
}

void flows_list_client(struct flows *flows, uint32_t f)
{
	flows_at(flows, f)->flags &= (uint8_t)~FLOW_CLIENT_UNLISTED;
	list_end(flows, f, CLIENT, true);
}

void flows_set_stamp(struct flows *flows, uint32_t f, uint32_t stamp)
{
	flows->stamps[f] = stamp;
}

void flows_quarantine(struct flows *flows, uint32_t f, uint8_t flags, uint32_t now)
{
	leave_queues(flows, f);
	set_state(flows_at(flows, f), FLOW_QUARANTINE);
	flow_set_last(flows_at(flows, f), now);
	flows_at(flows, f)->flags |= flags;
	rest(flows, f);
}

void flows_reset(struct flows *flows, uint32_t f, enum end end, uint64_t now_ms)
{
	flows_quarantine(flows, f, (uint8_t)(FLOW_RST_SENT << end), tick_of_ms(now_ms));
	flows->cold[f].reset_ms = (uint8_t)(now_ms % FLOW_MS_PER_TICK);
	set_state(flows_at(flows, f), FLOW_RESET);
}

uint64_t flows_reset_ms(const struct flows *flows, uint32_t f)
{
	return (uint64_t)flow_last(flows_at(flows, f)) * FLOW_MS_PER_TICK + flows->cold[f].reset_ms;
}

void flows_revive(struct flows *flows, uint32_t f)
{
	struct flow *flow = flows_at(flows, f);

	leave_queues(flows, f);
	flow->flags &= (uint8_t)~FLOW_RESET_BY_US;
	set_state(flow, flow_is_closed(flow) ? FLOW_CLOSING : FLOW_OPEN);
}

void flows_bury(struct flows *flows, uint32_t f)
{
	set_state(flows_at(flows, f), FLOW_QUARANTINE);
}

void flows_set_client(struct flows *flows, uint32_t f, uint16_t place, const struct hop *hop)
{
	struct flow *flow = flows_at(flows, f);
	const uint16_t old = flow->hop;

	if (place == HOPS_OWN && !flow_is_live(flow)) {
		hops_give_back(&flows->hops, place, flow_last(flow));
		return;
	}
	if (place == HOPS_OWN) {
		set_hop(flow, HOPS_NOWHERE);
		hop_store(&flows->spare[f], hop);
	}
	set_hop(flow, place);
	hops_give_back(&flows->hops, old, flow_last(flow));
}

void flows_carry(struct flows *flows, uint32_t f, enum end end, uint64_t bytes, uint32_t packets)
{
	BOTH_ADD(flows->cold[f].bytes[end], bytes);
	BOTH_ADD(flows->cold[f].packets[end], packets);
	/* one that has ended was counted to the end */
	if (flows->sums && flows_at(flows, f)->state < FLOW_QUARANTINE)
		flows->sums[flows_at(flows, f)->server].bytes[end] += bytes;
}

void flows_renumber(struct flows *flows, uint32_t f, uint16_t server)
{
	set_life(flows_at(flows, f), server, (enum flow_state)flows_at(flows, f)->state);
}

void flows_reopen(struct flows *flows, uint32_t f, uint64_t now_ms)
{
	const struct flow *flow = flows_at(flows, f);
	const struct tuple arrive[2] = {flow->arrive[CLIENT], flow->arrive[SERVER]};

	leave_queues(flows, f);
	hops_give_back(&flows->hops, flow->hop, tick_of_ms(now_ms));
	begin(flows, f, arrive, flow->server, now_ms);
}

void flows_set_state(struct flows *flows, uint32_t f, enum flow_state state)
{
	leave_queues(flows, f);
	set_state(flows_at(flows, f), state);
}

void flows_check_by(struct flows *flows, uint32_t f, uint32_t at)
{
	if (at < flows->check_at[f])
		flows->check_at[f] = at;
}

void flows_check_again(struct flows *flows, uint32_t f, uint32_t at)
{
	flows->check_at[f] = at;
}
