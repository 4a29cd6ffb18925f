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
 *   max_connections of it   half-open, for WISH_LEAST_AGE_MS at least (or a stranger's: wish.c)
 *   a half-open place       half-open
 *   a place in the table    rests
 *
 * Half-open flows have places of their own, many more than a flood of SYNs fills in the time that a
 * client takes to answer, and all are queues: so each is had in one step, whatever else there is,
 * and an honest client has as long as the places last. Established flows never make way.
 *
 * A client that uses a port again while its old flow is in quarantine gets a server chosen anew. If
 * the choice falls on the same one, the old SNAT port serves again. Either way only if the client's
 * own TCP has seen to it that the new connection can be told from the old one: otherwise the
 * server, in TIME_WAIT, would not take it, and it gets another port.
 *
 * What a server can give, and which port, is found out in wish.c.
 */
#include "admit.h"

#include "life.h"
#include "pick.h"
#include "tcp.h"
#include "wish.h"

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
		old = flows_find(flows, wish->key, flows_hash_key(flows, wish->key));
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

	if (!wish_choose_arrival(wish, old, server, &port, &syn.arrive[SERVER]))
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
	balance_queue_new(balance, f, wish_farm(wish)->nsnat ? &port : NULL);
	note_opened(balance, f, wish->now);
	*ret_ref = f << 1 | CLIENT;
	return WHY_FLOW_NEW;
}

/* The server that the client sticks to, if it can be had; or SERVER_NONE. */
static uint16_t pick_sticky(const struct wish *wish)
{
	const struct balance *balance = wish->balance;
	uint16_t server;

	if (wish_farm(wish)->persist_ms &&
	    persist_find(&balance->persist, persist_key(wish_farm(wish), wish->packet->tuple.src),
	                 false, balance_tick(balance, wish->now), &server) &&
	    sched_has_room(&balance->farms->sched, server) && wish_can_be_had(wish, server))
		return server;
	return SERVER_NONE;
}

static uint16_t pick_if(const struct wish *wish, be32 client, pick_test *test)
{
	return pick_server_if(&wish->balance->farms->sched, wish->farm, client,
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
		server = pick_server(sched, wish->farm, client, packet->tuple.sport, wish->now);
	if (server == SERVER_NONE)
		return sched_is_up(sched, wish->farm) ? WHY_SERVERS_FULL : WHY_NO_SERVER;
	if (!wish_can_be_had(wish, server)) {
		wish->balance->counts.passed_over += wish_is_open(wish, server);
		server = pick_if(wish, client, wish_can_be_had);
	}
	*ret_server = server;
	if (server != SERVER_NONE)
		return WHY_FLOW_NEW;
	return pick_if(wish, client, wish_is_open) == SERVER_NONE ? WHY_SERVERS_FULL
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

	if (flow_is_live(flow) || !be16_eq(flow->arrive[SERVER].sport, wish_server_port(wish)) ||
	    !tcp_may_reopen(flow, balance->flows.stamps[f], wish->packet))
		return false;
	if (!wish_farm(wish)->nsnat)
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

void admit_foresee(struct balance *balance, const struct packet *packet, unsigned farm,
                   unsigned service)
{
	const struct wish wish = {
	        .balance = balance, .packet = packet, .farm = farm, .service = service};
	const uint16_t server = pick_foresee(&balance->farms->sched, farm);
	struct tuple tuple;

	flows_foresee(&balance->flows);
	if (server != SERVER_NONE && wish_foresee(&wish, server, &tuple))
		index_prefetch(&balance->flows.index,
		               flows_hash(&balance->flows, &tuple, packet->kind == PACKET_IPV6));
}

enum lb_why admit_open(struct balance *balance, const struct packet *packet,
                       const struct flow_key *key, uint32_t old, unsigned farm, unsigned service,
                       lb_time now, uint32_t *ret_ref)
{
	struct wish wish = {balance, packet, key, farm, service, now, false};
	uint16_t server;
	enum lb_why why = pick(&wish, &server);

	if (why == WHY_SERVERS_FULL &&
	    strangers_is_known(&balance->strangers, balance_sender_key(packet), now)) {
		wish.is_known = true;
		why = pick(&wish, &server);
	}
	if (why == WHY_FLOW_NEW)
		why = open_at(&wish, old, server, ret_ref);
	balance->counts.refused += why != WHY_FLOW_NEW;
	return why;
}
