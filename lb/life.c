/*
 * The life of a balanced connection.
 *
 *   SYN -> half-open -> open -> closing -> quarantine -> forgotten
 *                            <-> reset <->     ^
 *
 * While it is live a flow counts at its server; when it ends it goes to quarantine with its tuples
 * and its SNAT port; when that is over both are given back.
 *
 * A RST ends an open or closing flow as well, and it is no longer counted. But the RST may be a
 * stranger's, or the other end may not believe it. So for BALANCE_RESET_S the flow can be revived,
 * by packets that only its ends can send, and is counted again. An end that has sent a RST sends
 * nothing more: so a packet of the RST's alleged sender revives the flow at once; one of the other
 * end does so when it can't have crossed the RST on its way. A packet of the sender's that his own
 * RST has overtaken revives the flow too, for nothing; but if tmbridge waited, it would lose track
 * of the numbers of a flow that goes on fast. The flow is recorded as ended when it can't be
 * revived any more. Half-open flows have nothing to lose, and end for good.
 */
#include "life.h"

#include "tcp.h"

static uint32_t timeout_of(const struct balance *balance, const struct flow *flow)
{
	switch ((enum flow_state)flow->state) {
	case FLOW_HALF_OPEN:
		return BALANCE_HALF_OPEN_S * FLOW_TICKS_PER_S;
	case FLOW_OPEN:
		return farms_of_server(balance->farms, flow->server)->idle_timeout_ms /
		       FLOW_MS_PER_TICK;
	case FLOW_CLOSING:
		return BALANCE_CLOSING_S * FLOW_TICKS_PER_S;
	case FLOW_RESET:
		return BALANCE_RESET_S * FLOW_TICKS_PER_S;
	case FLOW_QUARANTINE:
		if (flow->flags & FLOW_RESET_BY_US || ((flow->flags & FLOW_FIN_SENT << SERVER) &&
		                                       !(flow->flags & FLOW_SERVER_FIN_FIRST)))
			return BALANCE_QUARANTINE_SHORT_S * FLOW_TICKS_PER_S;
		return BALANCE_QUARANTINE_S * FLOW_TICKS_PER_S;
	case FLOW_FREE:
		break;
	}
	return 0;
}

/* The tick at which the flow expires if no packet comes. */
uint32_t life_deadline(const struct balance *balance, const struct flow *flow)
{
	uint64_t deadline = (uint64_t)flow_last(flow) + timeout_of(balance, flow) + 1;

	return deadline < FLOW_NEVER ? (uint32_t)deadline : FLOW_NEVER - 1;
}

void life_check(struct balance *balance, uint32_t f)
{
	flows_check_by(&balance->flows, f, life_deadline(balance, flows_at(&balance->flows, f)));
}

void life_persist(struct balance *balance, const struct flow *flow, bool is_new, lb_time now)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	const uint32_t tick = balance_tick(balance, now),
	               until = flow_last(flow) + farm->persist_ms / FLOW_MS_PER_TICK;
	struct persist_key key;
	uint16_t sticks;

	/* `last` may be a tick ahead, as a program writes it: that is no time to stick */
	if (flow->state == FLOW_HALF_OPEN || !farm->persist_ms || until <= tick ||
	    !sched_may_take(&balance->farms->sched, flow->server))
		return;
	key = persist_key(farm, flow->arrive[CLIENT].src);
	/* a client that has moved on to another server stays there */
	if (!is_new && persist_find(&balance->persist, key, true, tick, &sticks) &&
	    sticks != flow->server)
		return;
	persist_note(&balance->persist, key, flow->server, tick, until);
}

uint64_t life_age_ns(const struct balance *balance, uint32_t f, lb_time now)
{
	const uint64_t ms = flows_created_ms(&balance->flows, f);
	const uint64_t begun =
	        balance->epoch.ns + ms * LB_NS_PER_MS +
	        balance->flows.cold[f].created_fraction * FLOW_FRACTION_US * (LB_NS_PER_MS / 1000);

	return now.ns > begun ? now.ns - begun : 0;
}

/* Adds to the server's sum what of a flow that ends isn't in it yet. */
static void sum_up(struct balance *balance, uint32_t f)
{
	struct flow_sum *sum = &balance->farms->sums[flows_at(&balance->flows, f)->server];

	for (enum end end = CLIENT; end <= SERVER; end++)
		sum->bytes[end] += flows_unsummed(&balance->flows, f, end);
}

static void record_end(struct balance *balance, uint32_t f, enum ended_why why, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	struct rewrite_to arrival;
	struct ended record;

	if (why != ENDED_EXIT) {
		times_note(&balance->farms->times[flow->server].flow, &times_flow,
		           life_age_ns(balance, f, now));
		sum_up(balance, f);
	}
	if (!farms_of_server(balance->farms, flow->server)->connlog)
		return;
	record = (struct ended){
	        .start = {balance->epoch.ns + flows_created_ms(&balance->flows, f) * LB_NS_PER_MS},
	        .end = now,
	        .arrive = {flow->arrive[CLIENT], flow->arrive[SERVER]},
	        .bytes = {flows_bytes(&balance->flows, f, CLIENT),
	                  flows_bytes(&balance->flows, f, SERVER)},
	        .packets = {flows_packets(&balance->flows, f, CLIENT),
	                    flows_packets(&balance->flows, f, SERVER)},
	        .server = flow->server,
	        .why = (uint8_t)why,
	};

	if (flow_is_ipv6(flow)) {
		balance_arrival(balance, f, CLIENT, &arrival);
		record.client6 = *arrival.src6;
	}
	ended_put(&balance->ended, &record);
}

bool life_is_answered(const struct flow *flow)
{
	return flow->flags & FLOW_SEQ_KNOWN << SERVER;
}

void life_observe(struct balance *balance, uint32_t f, bool answered)
{
	observe_note(&balance->farms->observe, balance->farms->rules,
	             flows_at(&balance->flows, f)->server, answered);
}

/* How old the flow was when its client's last packet came, in ns. */
static uint64_t asked_for_ns(const struct balance *balance, uint32_t f)
{
	const uint64_t ms = (uint64_t)flow_last(flows_at(&balance->flows, f)) * FLOW_MS_PER_TICK;

	return life_age_ns(balance, f, (lb_time){balance->epoch.ns + ms * LB_NS_PER_MS});
}

bool life_is_observed(const struct balance *balance, uint32_t f)
{
	return asked_for_ns(balance, f) >= OBSERVE_PATIENCE_MS * LB_NS_PER_MS;
}

void life_note_answer(struct balance *balance, uint32_t f, bool answered, lb_time now)
{
	uint64_t ns;

	if (answered || !life_is_observed(balance, f))
		life_observe(balance, f, answered);

	if (waits_end(&balance->waits, f, now, &ns))
		sched_answered(&balance->farms->sched, flows_at(&balance->flows, f)->server,
		               answered ? ns : FASTEST_UNANSWERED_NS, now);
}

/* Counts the flow no more as one of its client's; or again, below. */
static void uncount_client(struct balance *balance, uint32_t f)
{
	struct limits_asker asker;

	if (!farms_of_server(balance->farms, flows_at(&balance->flows, f)->server)
	             ->client_connections)
		return;
	asker = balance_asker(balance, f);
	limits_closed(&balance->limits, &asker);
}

static void recount_client(struct balance *balance, uint32_t f, lb_time now)
{
	struct limits_asker asker;

	if (!farms_of_server(balance->farms, flows_at(&balance->flows, f)->server)
	             ->client_connections)
		return;
	asker = balance_asker(balance, f);
	limits_revived(&balance->limits, &asker, now);
}

/* Counts a live flow no more, at its server and client: it ends. */
static void release(struct balance *balance, uint32_t f, enum ended_why why, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	balance->counts.ended[why]++;
	anew_forget(&balance->anew, f);
	life_persist(balance, flow, false, now);
	if (flow->state == FLOW_HALF_OPEN)
		sched_half_open_no_more(&balance->farms->sched, flow->server);
	else
		uncount_client(balance, f);
	sched_closed(&balance->farms->sched, flow->server, !flow_is_closing(flow));
}

uint32_t life_older(const struct balance *balance, uint32_t f)
{
	const uint32_t o = anew_older(&balance->anew, f);
	const struct flow *flow = flows_at(&balance->flows, f), *older;

	if (o == FLOW_NONE)
		return FLOW_NONE;
	older = flows_at(&balance->flows, o);
	return flow_is_live(older) && older->flags & FLOW_CLIENT_UNLISTED &&
	                       tuple_eq(&older->arrive[CLIENT], &flow->arrive[CLIENT])
	               ? o
	               : FLOW_NONE;
}

/* If a flow that ends never opened, lists the older flow beside which it was made for its client
 * again. */
static void give_client_back(struct balance *balance, uint32_t f)
{
	const uint32_t older = life_older(balance, f);

	if (older != FLOW_NONE) {
		flows_unlist_client(&balance->flows, f);
		flows_list_client(&balance->flows, older);
	}
	anew_set_older(&balance->anew, f, FLOW_NONE);
}

/* From live to quarantine. */
void life_end(struct balance *balance, uint32_t f, enum ended_why why, uint8_t flags, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	if (!life_is_answered(flow) &&
	    (why == ENDED_IDLE || (why == ENDED_RST && flags & FLOW_RST_SENT << SERVER)))
		life_note_answer(balance, f, false, now);
	record_end(balance, f, why, now);
	release(balance, f, why, now);
	give_client_back(balance, f);
	flows_quarantine(&balance->flows, f, flags, balance_tick(balance, now));
	balance_queue(balance, f);
	life_check(balance, f);
}

void life_reset(struct balance *balance, uint32_t f, enum end by, lb_time now)
{
	if (flows_at(&balance->flows, f)->state == FLOW_HALF_OPEN) {
		life_end(balance, f, ENDED_RST, (uint8_t)(FLOW_RST_SENT << by), now);
		return;
	}
	release(balance, f, ENDED_RST, now);
	flows_reset(&balance->flows, f, by, balance_ms(balance, now));
	balance_queue(balance, f);
	balance->reset++;
	life_check(balance, f);
}

/* Records the end of a flow that was reset. */
static void record_reset(struct balance *balance, uint32_t f)
{
	const uint64_t ms = flows_reset_ms(&balance->flows, f);

	record_end(balance, f, ENDED_RST, (lb_time){balance->epoch.ns + ms * LB_NS_PER_MS});
}

void life_ended_before(struct balance *balance, uint32_t f)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const uint64_t ms = (uint64_t)flow_last(flow) * FLOW_MS_PER_TICK;
	const enum ended_why why = flow->flags & FLOW_RESET_BY_US ? ENDED_RST : ENDED_FIN;

	if (flow->state == FLOW_RESET)
		record_reset(balance, f);
	if (!flow_is_live(flow))
		return;
	balance->counts.created++;
	balance->counts.ended[why]++;
	record_end(balance, f, why, (lb_time){balance->epoch.ns + ms * LB_NS_PER_MS});
}

/* From reset to quarantine. Any other state stays. */
void life_bury(struct balance *balance, uint32_t f)
{
	if (flows_at(&balance->flows, f)->state != FLOW_RESET)
		return;
	record_reset(balance, f);
	flows_bury(&balance->flows, f);
	balance->reset--;
}

/* If the server of the flow has no use for it: its farm is gone, or it is down. */
bool life_is_unserved(const struct balance *balance, const struct flow *flow)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);

	return farm->gone || (farm->on_down == ON_DOWN_RESET &&
	                      health_of(&balance->farms->health, flow->server) == HEALTH_DOWN);
}

void life_revive(struct balance *balance, uint32_t f, lb_time now)
{
	struct flow *flow = flows_at(&balance->flows, f);

	tcp_revived(flow);
	flows_revive(&balance->flows, f);
	sched_revived(&balance->farms->sched, flow->server, !flow_is_closing(flow));
	recount_client(balance, f, now);
	balance->counts.ended[ENDED_RST]--;
	balance->counts.revived++;
	balance->reset--;
	life_check(balance, f);
}

/* From quarantine to nothing. */
void life_forget(struct balance *balance, uint32_t f)
{
	life_bury(balance, f);
	if (balance->strays && balance_is_stray(balance, flows_at(&balance->flows, f)))
		BOTH_WRITE(balance->strays, balance->strays - 1);
	if (balance->farms->kept.all)
		kept_count(&balance->farms->kept, flows_at(&balance->flows, f), -1);
	balance_give_port_back(balance, flows_at(&balance->flows, f));
	sched_count_flow(&balance->farms->sched, flows_at(&balance->flows, f)->server, -1);
	balance_note_flow(balance, f, false);
	flows_remove(&balance->flows, f);
}

void life_cut_quarantine(struct balance *balance, uint32_t f)
{
	balance->counts.quarantine_cut++;
	life_forget(balance, f);
}

void life_drop(struct balance *balance, uint32_t f, enum ended_why why, lb_time now)
{
	life_end(balance, f, why, 0, now);
	life_forget(balance, f);
}

void life_evict(struct balance *balance, uint32_t f, lb_time now)
{
	life_drop(balance, f, ENDED_EVICTED, now);
}

/* If the server gets no more connections, but may have some. */
static bool is_left(const struct balance *balance, uint16_t server)
{
	const struct rules_server *rule = &balance->farms->rules->servers[server];

	return rule->state == STATE_DRAIN || rule->state == STATE_DISABLED || !rule->weight ||
	       health_of(&balance->farms->health, server) == HEALTH_DOWN;
}

bool life_gives_way(const struct balance *balance, const struct flow *flow)
{
	const bool answered = flow->state == FLOW_HALF_OPEN && flow->flags & FLOW_SEQ_KNOWN
	                                                                             << SERVER;

	return is_left(balance, flow->server) &&
	       !(answered && health_of(&balance->farms->health, flow->server) != HEALTH_DOWN);
}

uint32_t life_give_way(struct balance *balance, const struct flow_key *key, uint32_t ref,
                       lb_time now)
{
	while (ref != FLOW_NONE &&
	       flows_at(&balance->flows, flow_of(ref))->state == FLOW_HALF_OPEN) {
		life_evict(balance, flow_of(ref), now);
		ref = flows_find(&balance->flows, key, flows_hash_key(&balance->flows, key));
	}
	return ref;
}

/* Drops the half-open flow, if there is one, that was made beside an older one and stands where f
 * is to stand. */
static void make_room_for_heir(struct balance *balance, uint32_t f, lb_time now)
{
	const uint32_t heir = anew_heir(&balance->anew, f);

	if (heir != FLOW_NONE && heir != f && life_older(balance, heir) != FLOW_NONE &&
	    flows_at(&balance->flows, heir)->state == FLOW_HALF_OPEN)
		life_evict(balance, heir, now);
}

void life_take_over(struct balance *balance, uint32_t f, uint32_t old, lb_time now)
{
	const bool stays = old != FLOW_NONE &&
	                   flow_is_live(flows_at(&balance->flows, flow_of(old))) &&
	                   flow_of(old) != f;

	if (stays)
		make_room_for_heir(balance, f, now);
	anew_set_older(&balance->anew, f, stays ? flow_of(old) : FLOW_NONE);
}

bool life_bury_all(struct balance *balance, uint32_t *cursor, bool go_on, lb_time now)
{
	for (unsigned n = 0; n < ENDED_RING && *cursor < balance->flows.reached; ++*cursor) {
		const struct flow *flow = flows_at(&balance->flows, *cursor);

		n += flow_is_live(flow) || flow->state == FLOW_RESET;
		if (flow_is_live(flow) && !go_on)
			record_end(balance, *cursor, ENDED_EXIT, now);
		else
			life_bury(balance, *cursor);
	}
	return *cursor < balance->flows.reached;
}
