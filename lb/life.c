/*
 * The life of a balanced connection.
 *
 *   SYN -> half-open -> open -> closing -> quarantine -> forgotten
 *                            <-> reset <->     ^
 *
 * While it is live a flow counts at its server; when it ends it goes to quarantine with its tuples
 * and its SNAT port; when that is over both are given back.
 *
 * A RST ends an open or closing flow as well, at once for all who count. But it may be a
 * stranger's, or the other end may not believe it; so for BALANCE_RESET_S the flow can be revived,
 * by what only its ends can say, and with it all counts. Who has sent a RST says nothing more: so
 * what the RST's alleged sender says revives at once; what the other end says, once it can't have
 * crossed the RST. What the sender's own RST has overtaken revives too, for nothing; but to wait
 * would be to lose the numbers of a flow that goes on fast. The flow is recorded as ended when it
 * can revive no more. Half-open ones have nothing to lose.
 */
#include "life.h"

#include "follow.h"
#include "tcp.h"
#include "wire.h"

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
	const struct persist_key key = persist_key(farm, flow->arrive[CLIENT].src);
	uint32_t persist_ms = farm->persist_ms;
	uint32_t tick = balance_tick(balance, now),
	         until = flow_last(flow) + persist_ms / FLOW_MS_PER_TICK;
	uint16_t sticks;

	if (flow->state == FLOW_HALF_OPEN || until <= tick ||
	    !sched_may_take(&balance->farms->sched, flow->server))
		return;
	/* a client that has moved on to another server stays there */
	if (!is_new && persist_find(&balance->persist, key, true, tick, &sticks) &&
	    sticks != flow->server)
		return;
	persist_note(&balance->persist, key, flow->server, tick, until);
}

static uint64_t age_ns(const struct balance *balance, uint32_t f, lb_time now)
{
	const uint64_t ms = flows_created_ms(&balance->flows, f);
	const uint64_t begun =
	        balance->epoch.ns + ms * LB_NS_PER_MS +
	        balance->flows.cold[f].created_fraction * FLOW_FRACTION_US * (LB_NS_PER_MS / 1000);

	return now.ns > begun ? now.ns - begun : 0;
}

static void note_connected(struct balance *balance, uint32_t f, lb_time now)
{
	const unsigned server = flows_at(&balance->flows, f)->server;

	times_note(&balance->farms->times[server].connect, &times_connect, age_ns(balance, f, now));
}

/* Of a flow that ends: what isn't in its server's sum yet. */
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
		           age_ns(balance, f, now));
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

static bool is_answered(const struct flow *flow)
{
	return flow->flags & FLOW_SEQ_KNOWN << SERVER;
}

static void observe(struct balance *balance, uint32_t f, bool answered)
{
	observe_note(&balance->farms->observe, balance->farms->rules,
	             flows_at(&balance->flows, f)->server, answered);
}

/* How old the flow was when its client was heard last. */
static uint64_t asked_for_ns(const struct balance *balance, uint32_t f)
{
	const uint64_t ms = (uint64_t)flow_last(flows_at(&balance->flows, f)) * FLOW_MS_PER_TICK;

	return age_ns(balance, f, (lb_time){balance->epoch.ns + ms * LB_NS_PER_MS});
}

/* If the client has asked in vain for so long that this has been observed. */
static bool is_observed(const struct balance *balance, uint32_t f)
{
	return asked_for_ns(balance, f) >= OBSERVE_PATIENCE_MS * LB_NS_PER_MS;
}

/* The flow's server has answered its SYN; or it won't. */
static void note_answer(struct balance *balance, uint32_t f, bool answered, lb_time now)
{
	uint64_t ns;

	if (answered || !is_observed(balance, f))
		observe(balance, f, answered);

	if (waits_end(&balance->waits, f, now, &ns))
		sched_answered(&balance->farms->sched, flows_at(&balance->flows, f)->server,
		               answered ? ns : FASTEST_UNANSWERED_NS, now);
}

/* A flow of a farm that has limits for clients is open: false if it is one too many for its client.
 */
static bool count_client(struct balance *balance, uint32_t f, lb_time now)
{
	struct limits_asker asker;

	if (!limits_any(farms_of_server(balance->farms, flows_at(&balance->flows, f)->server)))
		return true;
	asker = balance_asker(balance, f);
	return limits_opened(&balance->limits, &asker, now);
}

/* And is no longer; or is so after all. */
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

/* A live flow is one no longer. */
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

/* The live flow that still waits beside the newer one f, or FLOW_NONE. */
static uint32_t older_of(const struct balance *balance, uint32_t f)
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

/* A flow ends: if it never opened, the one beside which it was made has its client back. */
static void give_client_back(struct balance *balance, uint32_t f)
{
	const uint32_t older = older_of(balance, f);

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

	if (!is_answered(flow) &&
	    (why == ENDED_IDLE || (why == ENDED_RST && flags & FLOW_RST_SENT << SERVER)))
		note_answer(balance, f, false, now);
	record_end(balance, f, why, now);
	release(balance, f, why, now);
	give_client_back(balance, f);
	flows_quarantine(&balance->flows, f, flags, balance_tick(balance, now));
	balance_queue(balance, f);
	life_check(balance, f);
}

/* From live to reset, or if there was no connection yet to quarantine. */
static void reset(struct balance *balance, uint32_t f, enum end by, lb_time now)
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

/* From reset to quarantine. Any other state stays. */
void life_bury(struct balance *balance, uint32_t f)
{
	uint64_t at;

	if (flows_at(&balance->flows, f)->state != FLOW_RESET)
		return;
	at = balance->epoch.ns + flows_reset_ms(&balance->flows, f) * LB_NS_PER_MS;
	record_end(balance, f, ENDED_RST, (lb_time){at});
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

/* If the packet, which came from end, shows that the flow goes on though it was reset. */
static bool is_revival(const struct balance *balance, const struct flow *flow, enum end end,
                       const struct packet *packet, lb_time now)
{
	/* who else notes `last` may be a tick ahead */
	const uint32_t tick = balance_tick(balance, now), last = flow_last(flow);
	const uint32_t ms = tick > last ? (tick - last) * FLOW_MS_PER_TICK : 0;

	return flow->state == FLOW_RESET && tcp_goes_on(flow, end, packet) &&
	       (flow->flags & FLOW_RST_SENT << end || ms > BALANCE_CROSSING_MS) &&
	       !life_is_unserved(balance, flow);
}

/* From reset to what it was. Its check is due by then, and goes on from there. */
static void revive(struct balance *balance, uint32_t f, lb_time now)
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
		balance->strays--;
	balance_give_port_back(balance, flows_at(&balance->flows, f));
	sched_count_flow(&balance->farms->sched, flows_at(&balance->flows, f)->server, -1);
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

/* If the server is given no connections any more, but may have some. */
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
		ref = flows_find(&balance->flows, key, flows_hash(&balance->flows, &key->tuple));
	}
	return ref;
}

void life_take_over(struct balance *balance, uint32_t f, uint32_t old)
{
	const bool stays = old != FLOW_NONE &&
	                   flow_is_live(flows_at(&balance->flows, flow_of(old))) &&
	                   flow_of(old) != f;

	anew_set_older(&balance->anew, f, stays ? flow_of(old) : FLOW_NONE);
}

uint32_t life_resolve(struct balance *balance, uint32_t ref, const struct packet *packet,
                      lb_time now)
{
	const uint32_t f = flow_of(ref), older = older_of(balance, f);

	if (older == FLOW_NONE || !tcp_goes_on(flows_at(&balance->flows, older), CLIENT, packet))
		return ref;
	life_evict(balance, f, now);
	return older << 1 | CLIENT;
}

/* If the packet comes from the client's end, but not from where its last acceptable one came. */
static bool is_elsewhere(const struct balance *balance, uint32_t ref, const struct packet *packet)
{
	return end_of(ref) == CLIENT &&
	       !hop_eq(flows_client(&balance->flows, flow_of(ref)), &packet->from);
}

bool life_expects(const struct balance *balance, uint32_t ref, const struct packet *packet)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	return flow->state == FLOW_OPEN &&
	       (packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK &&
	       tcp_is_expected(flow, end_of(ref), packet) && !is_elsewhere(balance, ref, packet);
}

void life_goes_on(struct balance *balance, uint32_t ref, const struct packet *packet, uint32_t len,
                  lb_time now)
{
	flows_count(&balance->flows, flow_of(ref), end_of(ref), len, balance_tick(balance, now));
	tcp_advance(flows_at(&balance->flows, flow_of(ref)), end_of(ref), packet);
}

/* The server's answer, packet, to the client's SYN: all that was noted of the old connection is
 * void. */
static void begin_anew(struct balance *balance, uint32_t f, const struct anew_syn *waiting,
                       const struct packet *packet, lb_time now)
{
	struct flow *flow = flows_at(&balance->flows, f);
	/* or to the flow's own, once more */
	struct tcp_syn syn = {.next = flow_next(flow, CLIENT),
	                      .stamp = balance->flows.stamps[f],
	                      .wscale = flow_wscale(flow, CLIENT)};

	if (waiting && waiting->syn.next == packet->ack) {
		syn = waiting->syn;
		follow_packet(balance, f, &waiting->from);
	}
	if (flow_is_closing(flow)) { /* a load again */
		sched_closed(&balance->farms->sched, flow->server, false);
		sched_revived(&balance->farms->sched, flow->server, true);
	}
	if (!is_answered(flow))
		note_answer(balance, f, true, now);
	flows_set_stamp(&balance->flows, f, syn.stamp);
	flows_heard(&balance->flows, f, balance_tick(balance, now));
	tcp_begin_anew(flow, &syn, packet);
	if (flow->state == FLOW_CLOSING)
		flows_set_state(&balance->flows, f, FLOW_OPEN);
	anew_forget(&balance->anew, f);
	life_check(balance, f);
}

/* A flow has opened that was made beside an older one of its client: that one is no more. */
static void end_older(struct balance *balance, uint32_t f, lb_time now)
{
	const uint32_t older = older_of(balance, f);

	if (older != FLOW_NONE)
		life_end(balance, older, ENDED_EVICTED, 0, now);
	anew_set_older(&balance->anew, f, FLOW_NONE);
}

/* From half-open to open; false if it is ended at once, being one too many for its client. Its
 * check is due within BALANCE_HALF_OPEN_S, and goes on from there. */
static bool open_up(struct balance *balance, uint32_t f, const struct packet *packet, lb_time now)
{
	struct flow *flow = flows_at(&balance->flows, f);

	sched_half_open_no_more(&balance->farms->sched, flow->server);
	tcp_opened(flow, packet);
	flows_set_state(&balance->flows, f, FLOW_OPEN);
	end_older(balance, f, now);
	if (!count_client(balance, f, now)) {
		limits_doom(&balance->limits, f, flows_created_ms(&balance->flows, f));
		life_end(balance, f, ENDED_LIMIT, FLOW_RESET_BY_US, now);
		return false;
	}
	life_persist(balance, flow, true, now);
	return true;
}

/* What follows from an acceptable packet. */
static void go_on(struct balance *balance, uint32_t ref, const struct packet *packet, lb_time now)
{
	const uint32_t f = flow_of(ref);
	struct flow *flow = flows_at(&balance->flows, f);
	const bool was_answered = is_answered(flow);
	unsigned events;

	/* once: when that is next noted as heard */
	if (flow->state == FLOW_HALF_OPEN && end_of(ref) == CLIENT && !was_answered &&
	    !is_observed(balance, f) &&
	    age_ns(balance, f, now) >= OBSERVE_PATIENCE_MS * LB_NS_PER_MS)
		observe(balance, f, false);
	/* a flow that isn't open yet gets no older by what its server says again and again */
	if (flow->state != FLOW_HALF_OPEN || end_of(ref) == CLIENT)
		flows_heard(&balance->flows, f, balance_tick(balance, now));
	if (end_of(ref) == CLIENT)
		follow_packet(balance, f, &packet->from);
	if (end_of(ref) == CLIENT && packet->tcp_flags & (TCP_SYN | TCP_FIN) && packet->stamp)
		flows_set_stamp(&balance->flows, f, packet->stamp);
	events = tcp_track(flow, end_of(ref), packet);
	if (!was_answered && is_answered(flow)) {
		note_answer(balance, f, true, now);
		note_connected(balance, f, now);
	}
	if (events & TCP_HALF_CLOSED)
		sched_closing(&balance->farms->sched, flow->server);
	if (events & TCP_OPENED && !open_up(balance, f, packet, now))
		return;
	/* the FINs may have been before the handshake was complete */
	if (events & (TCP_OPENED | TCP_BOTH_CLOSED) && flow->state == FLOW_OPEN &&
	    flow_is_closed(flow))
		flows_set_state(&balance->flows, f, FLOW_CLOSING);
	if (events & TCP_ENDED)
		life_end(balance, f, ENDED_FIN, 0, now);
	else if (events & (TCP_OPENED | TCP_BOTH_CLOSED)) /* the first FIN shortens nothing */
		life_check(balance, f);
}

/* A packet of a live flow: first what it is, then what follows. */
static void judge(struct balance *balance, uint32_t ref, const struct packet *packet, lb_time now)
{
	const uint32_t f = flow_of(ref), tick = balance_tick(balance, now);
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct anew_syn *waiting = anew_find(&balance->anew, f, tick);
	const struct tcp_syn *syn = waiting ? &waiting->syn : NULL;

	if (packet->tcp_flags & TCP_RST) {
		if (tcp_rst_is_believed(flow, end_of(ref), packet, syn))
			reset(balance, f, end_of(ref), now);
		return;
	}
	switch (tcp_judge(flow, end_of(ref), packet, is_elsewhere(balance, ref, packet), syn)) {
	case TCP_STRAY:
		return;
	case TCP_ACCEPTABLE:
		return go_on(balance, ref, packet, now);
	case TCP_AGAIN:
		return anew_note(&balance->anew, f, packet, tick);
	case TCP_ANEW:
		return begin_anew(balance, f, waiting, packet, now);
	}
}

void life_count(struct balance *balance, uint32_t ref, uint32_t len)
{
	flows_count(&balance->flows, flow_of(ref), end_of(ref), len,
	            flow_last(flows_at(&balance->flows, flow_of(ref))));
}

void life_packet(struct balance *balance, uint32_t ref, const struct packet *packet, uint32_t len,
                 lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	life_count(balance, ref, len);
	if (is_revival(balance, flow, end_of(ref), packet, now))
		revive(balance, flow_of(ref), now);
	if (flow_is_live(flow)) /* in quarantine late packets are passed on, and no more */
		judge(balance, ref, packet, now);
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
