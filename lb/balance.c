/*
 * The life of a balanced connection.
 *
 *   SYN -> half-open -> open -> closing -> quarantine -> forgotten
 *
 * While it is live a flow counts at its server; when it ends it goes to quarantine with its tuples
 * and its SNAT port; when that is over both are given back. Whoever needs a place or a port and
 * finds none may cut the oldest quarantine short: better a small risk of meeting a TIME_WAIT than
 * a certain refusal.
 *
 * A client that uses a port again while its old flow is in quarantine gets a server chosen anew. If
 * the choice falls on the same one, the old SNAT port serves again: the client's own TCP has seen
 * to it that the new connection can be told from the old one (RFC 9293, 3.4.1; RFC 6191).
 */
#include "balance.h"

#include "tcp.h"

/* How many of the oldest quarantined flows are looked at for one whose SNAT port would do. */
enum { BALANCE_CUT_TRIES = 256 };

static uint32_t tick_of(const struct balance *balance, lb_time now)
{
	uint64_t ticks = (now.ns - balance->epoch.ns) / FLOW_NS_PER_TICK;

	return ticks < FLOW_NEVER ? (uint32_t)ticks : FLOW_NEVER - 1;
}

void balance_lay_out(struct balance *balance, struct arena *arena, const struct rules *rules,
		     struct hash_key key, lb_time now)
{
	*balance = (struct balance){.rules = rules, .epoch = now, .swept = now};
	sched_lay_out(&balance->sched, arena, rules);
	snat_lay_out(&balance->snat, arena, rules, &key);
	flows_lay_out(&balance->flows, arena, rules->max_connections, key);
}

int balance_service(const struct rules_farm *farm, be16 port)
{
	unsigned low = 0, high = farm->nports;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (be16_get(farm->ports[mid]) < be16_get(port))
			low = mid + 1;
		else
			high = mid;
	}
	return low < farm->nports && be16_eq(farm->ports[low], port) ? (int)low : -1;
}

static uint32_t timeout_of(const struct balance *balance, const struct flow *flow)
{
	const struct rules_server *server = &balance->rules->servers[flow->server];

	switch ((enum flow_state)flow->state) {
	case FLOW_HALF_OPEN:
		return BALANCE_HALF_OPEN_S * FLOW_TICKS_PER_S;
	case FLOW_OPEN:
		return balance->rules->farms[server->farm].idle_timeout_ms / (1000 / FLOW_TICKS_PER_S);
	case FLOW_CLOSING:
		return BALANCE_CLOSING_S * FLOW_TICKS_PER_S;
	case FLOW_QUARANTINE:
		if (flow->flags & FLOW_WAS_RESET ||
		    ((flow->flags & FLOW_FIN_SENT << SERVER) && !(flow->flags & FLOW_SERVER_FIN_FIRST)))
			return BALANCE_QUARANTINE_SHORT_S * FLOW_TICKS_PER_S;
		return BALANCE_QUARANTINE_S * FLOW_TICKS_PER_S;
	case FLOW_FREE:
		break;
	}
	return 0;
}

/* The tick at which the flow expires if no packet comes. */
static uint32_t deadline_of(const struct balance *balance, const struct flow *flow)
{
	uint64_t deadline = (uint64_t)flow->last + timeout_of(balance, flow) + 1;

	return deadline < FLOW_NEVER ? (uint32_t)deadline : FLOW_NEVER - 1;
}

static void check_at_deadline(struct balance *balance, uint32_t f)
{
	flows_check_by(&balance->flows, f, deadline_of(balance, &balance->flows.flow[f]));
}

/* From live to quarantine. */
static void end(struct balance *balance, uint32_t f, uint32_t now)
{
	const struct flow *flow = &balance->flows.flow[f];

	sched_closed(&balance->sched, flow->server, !flow_is_closing(flow));
	flows_quarantine(&balance->flows, f, now);
	check_at_deadline(balance, f);
}

/* From quarantine to nothing. */
static void forget(struct balance *balance, uint32_t f)
{
	const struct flow *flow = &balance->flows.flow[f];
	unsigned farm = balance->rules->servers[flow->server].farm;
	int service = balance_service(&balance->rules->farms[farm], flow->arrive[CLIENT].dport);

	snat_give_back(&balance->snat, farm,
		       snat_locate(&balance->snat, flow->server, (unsigned)service,
				   flow->arrive[SERVER].dst, flow->arrive[SERVER].dport));
	flows_remove(&balance->flows, f);
}

static void cut_quarantine(struct balance *balance, uint32_t f)
{
	balance->counts.quarantine_cut++;
	forget(balance, f);
}

/* Gives up the oldest quarantined flow that holds a port of the server and service; false: none found. */
static bool cut_for_port(struct balance *balance, uint16_t server, be16 service)
{
	uint32_t f = balance->flows.quarantine.head;

	for (unsigned i = 0; i < BALANCE_CUT_TRIES && f != FLOW_NONE; i++) {
		const struct flow *flow = &balance->flows.flow[f];

		if (flow->server == server && be16_eq(flow->arrive[CLIENT].dport, service)) {
			cut_quarantine(balance, f);
			return true;
		}
		f = flow->next;
	}
	return false;
}

static bool take_port(struct balance *balance, unsigned farm, uint16_t server, unsigned service,
		      struct snat_port *ret)
{
	be16 port = balance->rules->farms[farm].ports[service];

	return snat_take(&balance->snat, farm, server, service, ret) ||
	       (cut_for_port(balance, server, port) &&
		snat_take(&balance->snat, farm, server, service, ret));
}

static bool make_room(struct balance *balance)
{
	if (flows_have_room(&balance->flows))
		return true;
	if (!balance->flows.quarantine.length)
		return false;
	cut_quarantine(balance, balance->flows.quarantine.head);
	return true;
}

static void note_opened(struct balance *balance, uint16_t server)
{
	sched_opened(&balance->sched, server);
	balance->counts.created++;
}

static enum lb_why open_new(struct balance *balance, const struct packet *packet, unsigned farm,
			    unsigned service, uint16_t server, uint32_t now, uint32_t *ret_ref)
{
	const struct rules_farm *rule = &balance->rules->farms[farm];
	struct tuple arrive[2] = {[CLIENT] = packet->tuple};
	struct snat_port port;
	struct flow syn = {.last = now, .state = FLOW_HALF_OPEN, .server = server};

	if (!make_room(balance))
		return WHY_TABLE_FULL;
	if (!take_port(balance, farm, server, service, &port))
		return WHY_SNAT_EXHAUSTED;
	arrive[SERVER] = (struct tuple){
		.src = balance->rules->servers[server].address,
		.dst = rule->snat[port.address],
		.sport = packet->tuple.dport,
		.dport = port.port,
	};
	*ret_ref = flows_add(&balance->flows, arrive, server, now, deadline_of(balance, &syn)) << 1 | CLIENT;
	note_opened(balance, server);
	return WHY_FLOW_NEW;
}

enum lb_why balance_open(struct balance *balance, const struct packet *packet, unsigned farm,
			 unsigned service, lb_time now, uint32_t *ret_ref)
{
	uint64_t hash = tuple_hash(&balance->flows.key, &packet->tuple);
	uint32_t old = flows_find(&balance->flows, &packet->tuple, hash);
	uint16_t server = sched_pick(&balance->sched, farm);
	enum lb_why why = WHY_NO_SERVER;

	if (server != SERVER_NONE && old != FLOW_NONE &&
	    balance->flows.flow[flow_of(old)].server == server) {
		flows_reopen(&balance->flows, flow_of(old), tick_of(balance, now));
		check_at_deadline(balance, flow_of(old));
		note_opened(balance, server);
		*ret_ref = old;
		return WHY_FLOW_NEW;
	}
	if (server != SERVER_NONE) {
		if (old != FLOW_NONE)
			flows_unlist_client(&balance->flows, flow_of(old));
		why = open_new(balance, packet, farm, service, server, tick_of(balance, now), ret_ref);
	}
	balance->counts.refused += why != WHY_FLOW_NEW;
	return why;
}

void balance_packet(struct balance *balance, uint32_t ref, const struct packet *packet, uint32_t len,
		    lb_time now)
{
	uint32_t f = flow_of(ref);
	struct flow *flow = &balance->flows.flow[f];
	enum tcp_event event;

	flows_count(&balance->flows, f, end_of(ref), len, tick_of(balance, now));
	if (end_of(ref) == CLIENT)
		balance->flows.cold[f].client = packet->from;
	event = tcp_track(flow, end_of(ref), packet);
	if (event == TCP_NOTHING || !flow_is_live(flow))
		return;
	if (event == TCP_ENDED) {
		balance->counts.closed++;
		end(balance, f, flow->last);
	} else {
		if (event == TCP_HALF_CLOSED)
			sched_closing(&balance->sched, flow->server);
		flows_set_state(&balance->flows, f, event == TCP_BOTH_CLOSED ? FLOW_CLOSING : FLOW_OPEN);
		check_at_deadline(balance, f);
	}
}

static void expire(struct balance *balance, uint32_t f, uint32_t now)
{
	const struct flow *flow = &balance->flows.flow[f];
	uint32_t deadline = deadline_of(balance, flow);

	if (deadline > now) {
		flows_check_again(&balance->flows, f, deadline);
	} else if (flow_is_live(flow)) {
		balance->counts.idle_expired++;
		flows_check_again(&balance->flows, f, FLOW_NEVER);
		end(balance, f, now);
	} else {
		forget(balance, f);
	}
}

static void expire_range(struct balance *balance, uint32_t from, uint32_t to, uint32_t now)
{
	uint32_t f;

	while ((f = flows_next_due(&balance->flows, &from, to, now)) != FLOW_NONE)
		expire(balance, f, now);
}

void balance_expire(struct balance *balance, lb_time now)
{
	uint64_t elapsed = now.ns - balance->swept.ns, share;
	uint32_t reached = balance->flows.reached;

	if (elapsed > LB_NS_PER_S)
		elapsed = LB_NS_PER_S;
	share = reached * elapsed / LB_NS_PER_S;
	if (!share && reached)
		return;
	balance->swept = now;
	if (balance->cursor + share > reached) {
		expire_range(balance, balance->cursor, reached, tick_of(balance, now));
		share -= reached - balance->cursor;
		balance->cursor = 0;
	}
	expire_range(balance, balance->cursor, balance->cursor + (uint32_t)share, tick_of(balance, now));
	balance->cursor += (uint32_t)share;
}

uint32_t balance_quarantined(const struct balance *balance)
{
	return balance->flows.quarantine.length;
}

uint32_t balance_open_flows(const struct balance *balance)
{
	return balance->flows.reached - balance->flows.free.length - balance->flows.quarantine.length;
}
