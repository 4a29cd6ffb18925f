/*
 * Admission: a SYN gets a server, a SNAT port and a place in the table, or a reason why not.
 *
 * Whoever needs a place or a port and finds none may cut the oldest quarantine short: better a
 * small risk of meeting a TIME_WAIT than a certain refusal. After that the oldest half-open flow
 * makes room, which under a flood of SYNs is one of the flood's; established flows never do.
 *
 * A client that uses a port again while its old flow is in quarantine gets a server chosen anew. If
 * the choice falls on the same one, the old SNAT port serves again, if the client's own TCP has
 * seen to it that the new connection can be told from the old one (RFC 9293, 3.6.1; RFC 6191);
 * otherwise the server, in TIME_WAIT, would not take it, and it gets another port.
 *
 * With `snat = off` the server sees the client's own address and port, and there is no SNAT port to
 * take: its packets are recognized by their source.
 */
#include "admit.h"

#include "life.h"
#include "tcp.h"
#include "wire.h"

enum {
	/* how many of the oldest flows of a list are looked at for one whose SNAT port would do */
	ADMIT_CUT_TRIES = 256,
	/* how many ports are tried for one that makes a tuple that no live flow has */
	ADMIT_PORT_TRIES = 256,
};

/* The oldest flow of the list that holds a port from the server's pools for service, or FLOW_NONE.
 */
static uint32_t oldest_with_port(const struct balance *balance, const struct flow_list *list,
                                 uint16_t server, be16 service)
{
	bool one_pool = rules_pools_per_server(farms_of_server(balance->farms, server)) == 1;
	uint32_t f = list->head;

	for (unsigned i = 0; i < ADMIT_CUT_TRIES && f != FLOW_NONE; i++) {
		const struct flow *flow = flows_at(&balance->flows, f);

		if (flow->server == server &&
		    (one_pool || be16_eq(flow->arrive[CLIENT].dport, service)))
			return f;
		f = flows_behind(&balance->flows, f);
	}
	return FLOW_NONE;
}

/* Makes an older flow give up its port; false if there is none that may. */
static bool free_a_port(struct balance *balance, uint16_t server, be16 service, lb_time now)
{
	uint32_t f = oldest_with_port(balance, &balance->flows.quarantine, server, service);

	if (f != FLOW_NONE) {
		life_cut_quarantine(balance, f);
		return true;
	}
	f = oldest_with_port(balance, &balance->flows.half_open, server, service);
	if (f == FLOW_NONE)
		return false;
	life_evict(balance, f, now);
	return true;
}

static bool take_port(struct balance *balance, unsigned farm, uint16_t server, unsigned service,
                      lb_time now, struct snat_port *ret)
{
	struct snat *snat = &balance->farms->snat;
	be16 port = balance->farms->rules->farms[farm].ports[service];

	return snat_take(snat, farm, server, service, ret) ||
	       (free_a_port(balance, server, port, now) &&
	        snat_take(snat, farm, server, service, ret));
}

/* Keeps the share of half-open flows when one is about to be added. */
static void limit_half_open(struct balance *balance, lb_time now)
{
	const struct flow_list *half_open = &balance->flows.half_open;

	if (half_open->length &&
	    half_open->length >= balance->flows.capacity / BALANCE_HALF_OPEN_SHARE)
		life_evict(balance, half_open->head, now);
}

static bool make_room(struct balance *balance, lb_time now)
{
	struct flows *flows = &balance->flows;

	limit_half_open(balance, now);
	if (flows_have_room(flows))
		return true;
	if (flows->quarantine.length)
		life_cut_quarantine(balance, flows->quarantine.head);
	else if (flows->half_open.length)
		life_evict(balance, flows->half_open.head, now);
	return flows_have_room(flows);
}

/*
 * Sees to it that no flow has the tuple, whose address that isn't known by name is the same as
 * key's: one in quarantine gives it up. False if one that is live has it.
 */
static bool free_tuple(struct balance *balance, const struct tuple *tuple,
                       const struct flow_key *key)
{
	const struct flow_key other = {.tuple = *tuple, .ipv6 = key->ipv6, .hashed = key->hashed};
	uint32_t ref = flows_find(&balance->flows, &other, flows_hash(&balance->flows, tuple));

	if (ref == FLOW_NONE)
		return true;
	if (flow_is_live(flows_at(&balance->flows, flow_of(ref))))
		return false;
	life_cut_quarantine(balance, flow_of(ref));
	return true;
}

/*
 * Takes a port and completes the tuple with it. A flow from before a reload may have the tuple
 * though the port is free: its VIP or farm was another, and with it its pool.
 */
static bool choose_snat(struct balance *balance, unsigned farm, unsigned service, uint16_t server,
                        lb_time now, struct tuple *ret)
{
	const struct flow_key key = {.ipv6 = name_is_ipv6(ret->src)};
	struct snat_port port;

	for (unsigned i = 0; i < ADMIT_PORT_TRIES; i++) {
		if (!take_port(balance, farm, server, service, now, &port))
			return false;
		ret->dst = balance->farms->rules->farms[farm].snat[port.address];
		ret->dport = port.port;
		if (free_tuple(balance, ret, &key))
			return true;
		snat_give_back(&balance->farms->snat, farm, port);
	}
	return false;
}

/* How packets from the server will arrive. */
static enum lb_why choose_arrival(struct balance *balance, const struct packet *packet,
                                  const struct flow_key *key, unsigned farm, unsigned service,
                                  uint16_t server, lb_time now, struct tuple *ret)
{
	ret->src = balance->farms->rules->servers[server].address;
	ret->sport = packet->tuple.dport;
	if (balance->farms->rules->farms[farm].nsnat)
		return choose_snat(balance, farm, service, server, now, ret) ? WHY_FLOW_NEW
		                                                             : WHY_SNAT_EXHAUSTED;
	ret->dst = packet->tuple.src;
	ret->dport = packet->tuple.sport;
	/* the client has this port open to the same server already, by way of another VIP */
	return free_tuple(balance, ret, key) ? WHY_FLOW_NEW : WHY_SNAT_EXHAUSTED;
}

/* Until it is open, what its client asks for besides shall go to the same server. */
static void hope(struct balance *balance, const struct flow *flow, lb_time now)
{
	const uint32_t persist_ms = farms_of_server(balance->farms, flow->server)->persist_ms;
	const uint32_t half_open_ms = BALANCE_HALF_OPEN_S * 1000, tick = balance_tick(balance, now);
	const uint32_t ms = persist_ms < half_open_ms ? persist_ms : half_open_ms;

	if (persist_ms)
		persist_hope(&balance->persist, flow->arrive[CLIENT].dst, flow->arrive[CLIENT].src,
		             flow->server, tick, tick + ms / FLOW_MS_PER_TICK);
}

static void note_opened(struct balance *balance, uint32_t f, lb_time now)
{
	sched_opened(&balance->farms->sched, flows_at(&balance->flows, f)->server);
	balance->counts.created++;
	hope(balance, flows_at(&balance->flows, f), now);
}

/* old, a flow in quarantine of the same client and port, or FLOW_NONE, is found no more by what its
 * client sends: unless it has just made room, when key finds nothing. */
static void unlist_older(struct balance *balance, const struct flow_key *key, uint32_t old)
{
	if (old != FLOW_NONE)
		old = flows_find(&balance->flows, key, flows_hash(&balance->flows, &key->tuple));
	if (old == FLOW_NONE)
		return;
	life_bury(balance, flow_of(old));
	flows_unlist_client(&balance->flows, flow_of(old));
}

/*
 * Fetches the place in the index that the next flow to this server and service will take, by what
 * its server's packets will arrive with: which it isn't known by before.
 */
static void prefetch_next(const struct balance *balance, unsigned farm, unsigned service,
                          uint16_t server, const struct tuple *arrive)
{
	const struct rules_farm *rule = &balance->farms->rules->farms[farm];
	struct tuple next = *arrive;
	struct snat_port port;

	if (!snat_peek(&balance->farms->snat, farm, server, service, &port))
		return;
	next.dst = rule->snat[port.address];
	next.dport = port.port;
	index_prefetch(&balance->flows.index, flows_hash(&balance->flows, &next));
}

/* The port comes first: a SYN that is refused for want of one costs nobody his place. */
static enum lb_why open_new(struct balance *balance, const struct packet *packet,
                            const struct flow_key *key, uint32_t old, unsigned farm,
                            unsigned service, uint16_t server, lb_time now, uint32_t *ret_ref)
{
	struct flow syn = {.arrive[CLIENT] = packet->tuple,
	                   .last = balance_tick(balance, now),
	                   .state = FLOW_HALF_OPEN,
	                   .server = server & FLOW_SERVER_MASK};
	enum lb_why why;
	uint32_t f;

	why = choose_arrival(balance, packet, key, farm, service, server, now, &syn.arrive[SERVER]);
	if (why != WHY_FLOW_NEW)
		return why;
	if (!make_room(balance, now)) {
		balance_give_port_back(balance, &syn);
		return WHY_TABLE_FULL;
	}
	unlist_older(balance, key, old);
	f = flows_add(&balance->flows, syn.arrive, key->hashed, server, balance_ms(balance, now),
	              life_deadline(balance, &syn));
	sched_count_flow(&balance->farms->sched, server, 1);
	note_opened(balance, f, now);
	prefetch_next(balance, farm, service, server, &syn.arrive[SERVER]);
	*ret_ref = f << 1 | CLIENT;
	return WHY_FLOW_NEW;
}

static uint16_t pick(struct balance *balance, unsigned farm, const struct packet *packet,
                     lb_time now)
{
	struct sched *sched = &balance->farms->sched;
	const struct rules_farm *rule = &sched->rules->farms[farm];
	be32 client = packet->tuple.src;
	uint16_t server;

	if (rule->persist_ms &&
	    persist_find(&balance->persist, rule->vip, client, false, balance_tick(balance, now),
	                 &server) &&
	    sched_has_room(sched, server))
		return server;
	return sched_pick(sched, farm, packet->src6 ? ip6_digest(packet->src6) : client, now);
}

/* If the present rules could give the flow, which has ended, the address and port that its server
 * knows, and that one would take the SYN for a new connection even in TIME_WAIT. */
static bool may_reopen(const struct balance *balance, uint32_t f, const struct packet *packet)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	struct snat_port port;

	if (flow_is_live(flow) || !tcp_may_reopen(flow, balance->flows.stamps[f], packet))
		return false;
	if (!farm->nsnat)
		return be32_eq(flow->arrive[SERVER].dst, flow->arrive[CLIENT].src) &&
		       be16_eq(flow->arrive[SERVER].dport, flow->arrive[CLIENT].sport);
	return balance_locate_port(balance, flow, &port) &&
	       snat_allows(&balance->farms->snat, balance->farms->rules->servers[flow->server].farm,
	                   port);
}

static uint32_t reopen(struct balance *balance, uint32_t f, lb_time now)
{
	limit_half_open(balance, now);
	flows_reopen(&balance->flows, f, balance_ms(balance, now));
	life_check(balance, f);
	note_opened(balance, f, now);
	return f << 1 | CLIENT;
}

enum lb_why admit_open(struct balance *balance, const struct packet *packet,
                       const struct flow_key *key, uint32_t old, unsigned farm, unsigned service,
                       lb_time now, uint32_t *ret_ref)
{
	uint16_t server = pick(balance, farm, packet, now);
	enum lb_why why;

	if (server == SERVER_NONE) {
		balance->counts.refused++;
		return sched_is_up(&balance->farms->sched, farm) ? WHY_SERVERS_FULL : WHY_NO_SERVER;
	}
	if (old != FLOW_NONE && flows_at(&balance->flows, flow_of(old))->server == server &&
	    may_reopen(balance, flow_of(old), packet)) {
		life_bury(balance, flow_of(old));
		*ret_ref = reopen(balance, flow_of(old), now);
		return WHY_FLOW_NEW;
	}
	why = open_new(balance, packet, key, old, farm, service, server, now, ret_ref);
	balance->counts.refused += why != WHY_FLOW_NEW;
	return why;
}
