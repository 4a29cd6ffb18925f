/*
 * Admission: a SYN gets a server, a SNAT port and a place in the table, or a reason why not.
 *
 * Nothing is given before all can be had, so what is refused costs nobody anything: the server is
 * one that has room and that can be reached, which needs a port that is free, at rest, or of a flow
 * that is half-open. Then whoever holds what is needed makes way, always the one who has for
 * longest:
 *
 *   a port of the server    rests: better a small risk of meeting a TIME_WAIT than a refusal; if
 *                           none does, half-open
 *   max_connections of it   half-open, for ADMIT_LEAST_AGE_MS at least
 *   a half-open place       half-open
 *   a place in the table    rests
 *
 * Half-open flows have places of their own, many more than a flood of SYNs fills in the time that a
 * client takes to answer, and all are queues: so each is had in one step, whatever else there is,
 * and an honest client has as long as the places last. Established flows never make way.
 *
 * The SNAT port is the client's own port number if that is free, or rests after a connection of the
 * same client and port (asked only of who has had one lately, as it takes a look at the table):
 * then the server sees what it would see without us, and its TIME_WAIT, sequence numbers and
 * timestamps fit (RFC 9293, 3.6.1; RFC 6191). Else it is the one that was longest unused.
 *
 * A client that uses a port again while its old flow is in quarantine gets a server chosen anew. If
 * the choice falls on the same one, the old SNAT port serves again. Either way only if the client's
 * own TCP has seen to it that the new connection can be told from the old one: otherwise the
 * server, in TIME_WAIT, would not take it, and it gets another port.
 *
 * With `snat = off` the server sees the client's own address and port, and there is no SNAT port to
 * take: its packets are recognized by their source.
 */
#include "admit.h"

#include "life.h"
#include "tcp.h"
#include "wire.h"

enum {
	/* ms that a half-open flow has before it makes way for another one of a server that is
	   full: its client's answer may be on its way, or be waiting to be read */
	ADMIT_LEAST_AGE_MS = 100,
	/* SNAT addresses at which the client's own port is asked for */
	ADMIT_OWN_TRIES = 4,
	/* ports that are tried for one that no live flow from before a reload has */
	ADMIT_PORT_TRIES = 256,
};

/* What a SYN asks for. */
struct wish {
	struct balance *balance;
	const struct packet *packet;
	const struct flow_key *key;
	unsigned farm, service;
	lb_time now;
};

static const struct rules_farm *farm_of(const struct wish *wish)
{
	return &wish->balance->farms->rules->farms[wish->farm];
}

/* The flow, and its end, that packets with this tuple belong to, whose address that isn't known by
 * name is the client's; or FLOW_NONE. */
static uint32_t holder_of(const struct wish *wish, const struct tuple *tuple)
{
	const struct flow_key key = {.tuple = *tuple,
	                             .ipv6 = wish->key->ipv6,
	                             .hashed = farm_of(wish)->nsnat ? NULL : wish->key->hashed};

	return flows_find(&wish->balance->flows, &key, flows_hash(&wish->balance->flows, tuple));
}

static be32 address_of(const struct wish *wish, uint16_t server)
{
	return wish->balance->farms->rules->servers[server].address;
}

/* The port at which it serves what the client asks for. */
static be16 server_port(const struct wish *wish)
{
	return rules_server_port(farm_of(wish), wish->service);
}

/* How packets from the server will arrive with `snat = off`. */
static struct tuple arrival_without_snat(const struct wish *wish, uint16_t server)
{
	const struct tuple *client = &wish->packet->tuple;

	return tuple_of(address_of(wish, server), client->src, server_port(wish), client->sport);
}

/* The same with a SNAT port. */
static struct tuple arrival_at(const struct wish *wish, uint16_t server, struct snat_port port)
{
	return tuple_of(address_of(wish, server), farm_of(wish)->snat[port.address],
	                server_port(wish), port.port);
}

/* The oldest such flow of the first of the server's pools for the service, in turn, with any. */
static uint32_t oldest_with_port(const struct wish *wish, uint16_t server, bool rests)
{
	const struct snat *snat = &wish->balance->farms->snat;
	const struct flows *flows = &wish->balance->flows;
	uint32_t f = FLOW_NONE, pool;

	for (unsigned i = 0; i < farm_of(wish)->nsnat && f == FLOW_NONE; i++) {
		pool = snat_pool(snat, wish->farm, server, wish->service, i);
		f = rests ? flows_oldest_resting(flows, farms_resting(pool))
		          : flows_oldest_half_open(flows, farms_half_open(pool));
	}
	return f;
}

/* If the server can be reached: a sched_test of a wish. */
static bool can_reach(const void *of, unsigned s)
{
	const struct wish *wish = of;
	const uint16_t server = (uint16_t)s;
	struct tuple tuple;
	uint32_t ref;

	if (farm_of(wish)->nsnat)
		return snat_has_free(&wish->balance->farms->snat, wish->farm, server,
		                     wish->service) ||
		       oldest_with_port(wish, server, true) != FLOW_NONE ||
		       oldest_with_port(wish, server, false) != FLOW_NONE;
	/* the client may have this port open to the same server already, by way of another VIP */
	tuple = arrival_without_snat(wish, server);
	ref = holder_of(wish, &tuple);
	return ref == FLOW_NONE || !flow_is_live(flows_at(&wish->balance->flows, flow_of(ref)));
}

/* If the server isn't full, or has somebody who makes way: a sched_test of a wish. */
static bool is_open(const void *of, unsigned server)
{
	const struct wish *wish = of;
	const struct balance *balance = wish->balance;
	uint32_t f;

	if (!sched_is_full(&balance->farms->sched, server))
		return true;
	f = flows_oldest_half_open(&balance->flows, farms_opening(balance->farms, server));
	return f != FLOW_NONE && flows_created_ms(&balance->flows, f) + ADMIT_LEAST_AGE_MS <=
	                                 balance_ms(balance, wish->now);
}

static bool can_be_had(const void *of, unsigned server)
{
	return is_open(of, server) && can_reach(of, server);
}

/* Makes an older flow give up its port; false if there is none that may. */
static bool free_a_port(const struct wish *wish, uint16_t server)
{
	uint32_t f = oldest_with_port(wish, server, true);

	if (f != FLOW_NONE) {
		life_cut_quarantine(wish->balance, f);
		return true;
	}
	f = oldest_with_port(wish, server, false);
	if (f == FLOW_NONE)
		return false;
	life_evict(wish->balance, f, wish->now);
	return true;
}

static bool take_port(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	struct snat *snat = &wish->balance->farms->snat;

	return snat_take(snat, wish->farm, server, wish->service, ret) ||
	       (free_a_port(wish, server) &&
	        snat_take(snat, wish->farm, server, wish->service, ret));
}

/* Sees to it that no flow has the tuple: one that rests gives it up. False if a live one has it. */
static bool free_tuple(const struct wish *wish, const struct tuple *tuple)
{
	uint32_t ref = holder_of(wish, tuple);

	if (ref == FLOW_NONE)
		return true;
	if (flow_is_live(flows_at(&wish->balance->flows, flow_of(ref))))
		return false;
	life_cut_quarantine(wish->balance, flow_of(ref));
	return true;
}

/* If the flow is a resting one of the same client and port, whose server would take the SYN. */
static bool is_his_own(const struct wish *wish, uint32_t f)
{
	const struct flow *flow = flows_at(&wish->balance->flows, f);

	return !flow_is_live(flow) && tuple_eq(&flow->arrive[CLIENT], &wish->packet->tuple) &&
	       tcp_may_reopen(flow, wish->balance->flows.stamps[f], wish->packet) &&
	       (!wish->key->hashed || ip6_eq(&wish->balance->flows.client6[f], wish->key->hashed));
}

/* If a tuple may be a flow's though its port is free: one from before a reload. */
static bool may_collide(const struct wish *wish)
{
	return wish->balance->strays;
}

/* If the client, whose packets find old, may have this port of his own number; one that he has left
 * is given up then. */
static bool is_free_for(const struct wish *wish, uint32_t old, struct snat_port port,
                        const struct tuple *tuple)
{
	const struct snat *snat = &wish->balance->farms->snat;
	const bool is_free = snat_is_free(snat, port);
	uint32_t ref;

	if (!may_collide(wish) && (is_free || old == FLOW_NONE))
		return is_free;
	ref = holder_of(wish, tuple);
	if (is_free || ref == FLOW_NONE)
		return is_free && ref == FLOW_NONE;
	if (!is_his_own(wish, flow_of(ref)))
		return false;
	life_forget(wish->balance, flow_of(ref));
	return snat_is_free(snat, port);
}

/* Takes the client's own port, if it is free or his. */
static bool take_own_port(const struct wish *wish, uint32_t old, uint16_t server,
                          struct snat_port *ret)
{
	struct snat *snat = &wish->balance->farms->snat;
	struct tuple tuple;

	for (unsigned i = 0; i < farm_of(wish)->nsnat && i < ADMIT_OWN_TRIES; i++) {
		if (!snat_port_of(snat, wish->farm, server, wish->service, i,
		                  wish->packet->tuple.sport, ret))
			continue;
		tuple = arrival_at(wish, server, *ret);
		if (!is_free_for(wish, old, *ret, &tuple))
			continue;
		snat_take_port(snat, wish->farm, server, *ret);
		wish->balance->counts.own_port++;
		return true;
	}
	return false;
}

/* Takes a port. Those that live strays have are kept from the others meanwhile, so that one that
 * rests is given up if there are no more. */
static bool choose_port(const struct wish *wish, uint32_t old, uint16_t server,
                        struct snat_port *ret)
{
	struct snat_port others[ADMIT_PORT_TRIES];
	bool found = take_own_port(wish, old, server, ret);
	struct tuple tuple;
	unsigned n = 0;

	while (!found && n < ADMIT_PORT_TRIES && take_port(wish, server, ret)) {
		tuple = arrival_at(wish, server, *ret);
		found = !may_collide(wish) || free_tuple(wish, &tuple);
		if (!found)
			others[n++] = *ret;
	}
	while (n)
		snat_give_back(&wish->balance->farms->snat, wish->farm, others[--n]);
	return found;
}

/* How packets from the server will arrive, and with which port of ours, if any; false if it can't
 * be reached after all. */
static bool choose_arrival(const struct wish *wish, uint32_t old, uint16_t server,
                           struct snat_port *ret_port, struct tuple *ret)
{
	if (!farm_of(wish)->nsnat) {
		*ret = arrival_without_snat(wish, server);
		return free_tuple(wish, ret);
	}
	if (!choose_port(wish, old, server, ret_port))
		return false;
	*ret = arrival_at(wish, server, *ret_port);
	return true;
}

/* Half-open flows make way for another one of this server. */
static void make_way(const struct wish *wish, uint16_t server)
{
	struct balance *balance = wish->balance;
	struct flows *flows = &balance->flows;
	uint32_t f = FLOW_NONE;

	if (sched_is_full(&balance->farms->sched, server))
		f = flows_oldest_half_open(flows, farms_opening(balance->farms, server));
	if (f != FLOW_NONE)
		life_evict(balance, f, wish->now);
	if (flows->openings.list.length >= balance->most_half_open)
		life_evict(balance, flows_first_half_open(flows), wish->now);
}

/* There is a place then: fewer are live than there are, so somebody rests if none is free. */
static void make_place(const struct wish *wish)
{
	struct flows *flows = &wish->balance->flows;

	if (!flows_have_room(flows))
		life_cut_quarantine(wish->balance, flows->quarantine.head);
}

/* Until it is open, what its client asks for besides shall go to the same server. */
static void hope(struct balance *balance, const struct flow *flow, lb_time now)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	const uint32_t persist_ms = farm->persist_ms;
	const uint32_t half_open_ms = BALANCE_HALF_OPEN_S * 1000, tick = balance_tick(balance, now);
	const uint32_t ms = persist_ms < half_open_ms ? persist_ms : half_open_ms;

	if (persist_ms)
		persist_hope(&balance->persist, persist_key(farm, flow->arrive[CLIENT].src),
		             flow->server, tick, tick + ms / FLOW_MS_PER_TICK);
}

static void note_opened(struct balance *balance, uint32_t f, lb_time now)
{
	sched_opened(&balance->farms->sched, flows_at(&balance->flows, f)->server);
	balance->counts.created++;
	if (farms_of_server(balance->farms, flows_at(&balance->flows, f)->server)->scheduler ==
	    SCHED_FASTEST)
		waits_begin(&balance->waits, f, now);
	hope(balance, flows_at(&balance->flows, f), now);
}

/* old, a flow in quarantine of the same client and port, or FLOW_NONE, is found no more by what its
 * client sends: unless it has just made room, when key finds nothing. */
static void unlist_older(const struct wish *wish, uint32_t old)
{
	struct flows *flows = &wish->balance->flows;

	if (old != FLOW_NONE)
		old = flows_find(flows, wish->key, flows_hash(flows, &wish->key->tuple));
	if (old == FLOW_NONE)
		return;
	life_bury(wish->balance, flow_of(old));
	flows_unlist_client(flows, flow_of(old));
}

static enum lb_why open_new(const struct wish *wish, uint32_t old, uint16_t server,
                            uint32_t *ret_ref)
{
	struct balance *balance = wish->balance;
	struct flow syn = {.arrive[CLIENT] = wish->packet->tuple,
	                   .last = balance_tick(balance, wish->now),
	                   .state = FLOW_HALF_OPEN,
	                   .server = server & FLOW_SERVER_MASK};
	struct snat_port port;
	uint32_t f;

	if (!choose_arrival(wish, old, server, &port, &syn.arrive[SERVER]))
		return WHY_SNAT_EXHAUSTED;
	make_way(wish, server);
	make_place(wish);
	unlist_older(wish, old);
	f = flows_add(&balance->flows, syn.arrive, wish->key->hashed, server,
	              balance_ms(balance, wish->now), life_deadline(balance, &syn));
	balance_note_flow(balance, f, true);
	balance->flows.cold[f].created_fraction =
	        (uint8_t)(balance_us(balance, wish->now) / FLOW_FRACTION_US);
	sched_count_flow(&balance->farms->sched, server, 1);
	balance_queue_new(balance, f, farm_of(wish)->nsnat ? &port : NULL);
	note_opened(balance, f, wish->now);
	*ret_ref = f << 1 | CLIENT;
	return WHY_FLOW_NEW;
}

/* The server that the client sticks to, if it can be had; or SERVER_NONE. */
static uint16_t pick_sticky(const struct wish *wish)
{
	const struct balance *balance = wish->balance;
	uint16_t server;

	if (farm_of(wish)->persist_ms &&
	    persist_find(&balance->persist, persist_key(farm_of(wish), wish->packet->tuple.src),
	                 false, balance_tick(balance, wish->now), &server) &&
	    sched_has_room(&balance->farms->sched, server) && can_be_had(wish, server))
		return server;
	return SERVER_NONE;
}

static uint16_t pick_if(const struct wish *wish, be32 client, sched_test *test)
{
	return sched_pick_if(&wish->balance->farms->sched, wish->farm, client,
	                     wish->packet->tuple.sport, wish->now, test, wish);
}

/* Sets *ret_server, or says why there is none. */
static enum lb_why pick(const struct wish *wish, uint16_t *ret_server)
{
	struct sched *sched = &wish->balance->farms->sched;
	const struct packet *packet = wish->packet;
	const be32 client = packet->src6 ? ip6_digest(packet->src6) : packet->tuple.src;
	uint16_t server = pick_sticky(wish);

	if (server == SERVER_NONE)
		server = sched_pick(sched, wish->farm, client, packet->tuple.sport, wish->now);
	if (server == SERVER_NONE)
		return sched_is_up(sched, wish->farm) ? WHY_SERVERS_FULL : WHY_NO_SERVER;
	if (!can_be_had(wish, server)) {
		wish->balance->counts.passed_over += is_open(wish, server);
		server = pick_if(wish, client, can_be_had);
	}
	*ret_server = server;
	if (server != SERVER_NONE)
		return WHY_FLOW_NEW;
	return pick_if(wish, client, is_open) == SERVER_NONE ? WHY_SERVERS_FULL
	                                                     : WHY_SNAT_EXHAUSTED;
}

/* If the flow, which has ended, went to where the service is by the present rules, and these could
 * give it the address and port that its server knows, and that one would take the SYN for a new
 * connection even in TIME_WAIT. */
static bool may_reopen(const struct wish *wish, uint32_t f)
{
	const struct balance *balance = wish->balance;
	const struct flow *flow = flows_at(&balance->flows, f);
	struct snat_port port;

	if (flow_is_live(flow) || !be16_eq(flow->arrive[SERVER].sport, server_port(wish)) ||
	    !tcp_may_reopen(flow, balance->flows.stamps[f], wish->packet))
		return false;
	if (!farm_of(wish)->nsnat)
		return be32_eq(flow->arrive[SERVER].dst, flow->arrive[CLIENT].src) &&
		       be16_eq(flow->arrive[SERVER].dport, flow->arrive[CLIENT].sport);
	return balance_locate_port(balance, flow, &port) &&
	       snat_allows(&balance->farms->snat, wish->farm, port);
}

static void reopen(const struct wish *wish, uint32_t f)
{
	struct balance *balance = wish->balance;

	life_bury(balance, f);
	make_way(wish, flows_at(&balance->flows, f)->server);
	flows_reopen(&balance->flows, f, balance_ms(balance, wish->now));
	balance_queue(balance, f);
	life_check(balance, f);
	note_opened(balance, f, wish->now);
}

static enum lb_why open_at(const struct wish *wish, uint32_t old, uint16_t server,
                           uint32_t *ret_ref)
{
	if (balance_established(wish->balance) >= wish->balance->most_open)
		return WHY_TABLE_FULL;
	if (old == FLOW_NONE || flows_at(&wish->balance->flows, flow_of(old))->server != server ||
	    !may_reopen(wish, flow_of(old)))
		return open_new(wish, old, server, ret_ref);
	reopen(wish, flow_of(old));
	*ret_ref = flow_of(old) << 1 | CLIENT;
	return WHY_FLOW_NEW;
}

/* The port that take_own_port() or snat_take() will find, others' ports aside. */
static bool foresee_port(const struct wish *wish, uint16_t server, struct snat_port *ret)
{
	const struct snat *snat = &wish->balance->farms->snat;

	for (unsigned i = 0; i < farm_of(wish)->nsnat && i < ADMIT_OWN_TRIES; i++)
		if (snat_port_of(snat, wish->farm, server, wish->service, i,
		                 wish->packet->tuple.sport, ret) &&
		    snat_is_free(snat, *ret))
			return true;
	return snat_peek(snat, wish->farm, server, wish->service, ret);
}

void admit_foresee(struct balance *balance, const struct packet *packet, unsigned farm,
                   unsigned service)
{
	const struct wish wish = {
	        .balance = balance, .packet = packet, .farm = farm, .service = service};
	const uint16_t server = sched_foresee(&balance->farms->sched, farm);
	struct snat_port port;
	struct tuple tuple;

	flows_foresee(&balance->flows);
	if (server == SERVER_NONE || !foresee_port(&wish, server, &port))
		return;
	tuple = arrival_at(&wish, server, port);
	index_prefetch(&balance->flows.index, flows_hash(&balance->flows, &tuple));
}

enum lb_why admit_open(struct balance *balance, const struct packet *packet,
                       const struct flow_key *key, uint32_t old, unsigned farm, unsigned service,
                       lb_time now, uint32_t *ret_ref)
{
	const struct wish wish = {balance, packet, key, farm, service, now};
	uint16_t server;
	enum lb_why why = pick(&wish, &server);

	if (why == WHY_FLOW_NEW)
		why = open_at(&wish, old, server, ret_ref);
	balance->counts.refused += why != WHY_FLOW_NEW;
	return why;
}
