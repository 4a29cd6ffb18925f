/*
 * The life of a balanced connection.
 *
 *   SYN -> half-open -> open -> closing -> quarantine -> forgotten
 *                            <-> reset <->     ^
 *
 * While it is live a flow counts at its server; when it ends it goes to quarantine with its tuples
 * and its SNAT port; when that is over both are given back. Whoever needs a place or a port and
 * finds none may cut the oldest quarantine short: better a small risk of meeting a TIME_WAIT than
 * a certain refusal. After that the oldest half-open flow makes room, which under a flood of SYNs
 * is one of the flood's; established flows never do.
 *
 * A RST ends an open or closing flow as well, at once for all who count. But it may be a
 * stranger's, or the other end may not believe it; so for BALANCE_RESET_S the flow can be revived,
 * by what only its ends can say, and with it all counts. Who has sent a RST says nothing more: so
 * what the RST's alleged sender says revives at once; what the other end says, once it can't have
 * crossed the RST. What the sender's own RST has overtaken revives too, for nothing; but to wait
 * would be to lose the numbers of a flow that goes on fast. The flow is recorded as ended when it
 * can revive no more. Half-open ones have nothing to lose.
 *
 * A client that uses a port again while its old flow is in quarantine gets a server chosen anew. If
 * the choice falls on the same one, the old SNAT port serves again: the client's own TCP has seen
 * to it that the new connection can be told from the old one (RFC 9293, 3.4.1; RFC 6191).
 *
 * With `snat = off` the server sees the client's own address and port, and there is no SNAT port to
 * take: its packets are recognized by their source.
 */
#include "balance.h"

#include "tcp.h"
#include "wire.h"

enum {
	/* how many of the oldest flows of a list are looked at for one whose SNAT port would do */
	BALANCE_CUT_TRIES = 256,
	/* how many ports are tried for one that makes a tuple that no live flow has */
	BALANCE_PORT_TRIES = 256,
	/* flows that are expired together */
	BALANCE_EXPIRE_STEP = 16,
	/* flows that one call of balance_reap() looks at */
	BALANCE_REAP_STEP = 8192,
};

static_assert(RULES_SERVERS_KEPT_MAX <= 1 << FLOW_SERVER_BITS, "a flow holds its server's number");

/* Client addresses remembered for `persist`: as many as a full table has connections, over two. */
enum { BALANCE_PERSIST_SHARE = 2 };

static uint64_t ms_of(const struct balance *balance, lb_time now)
{
	return (now.ns - balance->epoch.ns) / LB_NS_PER_MS;
}

void balance_lay_out(struct balance *balance, struct arena *arena, const struct rules *rules,
                     const struct share *share, struct hash_key key, lb_time now)
{
	uint32_t capacity = share_of_limit(share, rules->max_connections);

	if (!capacity)
		capacity = 1;
	*balance = (struct balance){.epoch = now, .swept = now};
	flows_lay_out(&balance->flows, arena, capacity, key);
	persist_lay_out(&balance->persist, arena, capacity / BALANCE_PERSIST_SHARE, &key);
	ended_lay_out(&balance->ended, arena);
}

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
static uint32_t deadline_of(const struct balance *balance, const struct flow *flow)
{
	uint64_t deadline = (uint64_t)flow->last + timeout_of(balance, flow) + 1;

	return deadline < FLOW_NEVER ? (uint32_t)deadline : FLOW_NEVER - 1;
}

static void check_at_deadline(struct balance *balance, uint32_t f)
{
	flows_check_by(&balance->flows, f, deadline_of(balance, flows_at(&balance->flows, f)));
}

/* The flow's client sticks to its server, from the flow's last packet on. */
static void note_persist(struct balance *balance, const struct flow *flow, bool is_new, lb_time now)
{
	uint32_t persist_ms = farms_of_server(balance->farms, flow->server)->persist_ms;
	uint32_t tick = balance_tick(balance, now),
	         until = flow->last + persist_ms / FLOW_MS_PER_TICK;
	uint16_t sticks;

	if (until <= tick || !sched_may_take(&balance->farms->sched, flow->server))
		return;
	/* a client that has moved on to another server stays there */
	if (!is_new &&
	    persist_find(&balance->persist, flow->arrive[CLIENT].dst, flow->arrive[CLIENT].src,
	                 tick, &sticks) &&
	    sticks != flow->server)
		return;
	persist_note(&balance->persist, flow->arrive[CLIENT].dst, flow->arrive[CLIENT].src,
	             flow->server, tick, until);
}

/* The address of that name in a flow. */
static const struct ip6 *ip6_of(const struct balance *balance, uint32_t f, be32 name)
{
	return name_is_hashed(name) ? &balance->flows.client6[f]
	                            : rules_ip6(balance->farms->rules, name);
}

/* The addresses behind the names of a tuple of the flow, if it is of IPv6. */
static void set_ip6(const struct balance *balance, uint32_t f, struct rewrite_to *ret)
{
	ret->src6 = ret->dst6 = NULL;
	if (!flow_is_ipv6(flows_at(&balance->flows, f)))
		return;
	ret->src6 = ip6_of(balance, f, ret->tuple.src);
	ret->dst6 = ip6_of(balance, f, ret->tuple.dst);
}

void balance_arrival(const struct balance *balance, uint32_t f, enum end end,
                     struct rewrite_to *ret)
{
	ret->tuple = flows_at(&balance->flows, f)->arrive[end];
	set_ip6(balance, f, ret);
}

void balance_departure(const struct balance *balance, uint32_t ref, struct rewrite_to *ret)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	ret->tuple = tuple_reverse(flow->arrive[end_other(end_of(ref))]);
	set_ip6(balance, flow_of(ref), ret);
}

static void record_end(struct balance *balance, uint32_t f, enum ended_why why, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	struct ended record;

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

	if (flow_is_ipv6(flow))
		record.client6 = *ip6_of(balance, f, flow->arrive[CLIENT].src);
	ended_put(&balance->ended, &record);
}

/* A live flow is one no longer. */
static void release(struct balance *balance, uint32_t f, enum ended_why why, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	balance->counts.ended[why]++;
	note_persist(balance, flow, false, now);
	sched_closed(&balance->farms->sched, flow->server, !flow_is_closing(flow));
}

/* From live to quarantine. */
static void end(struct balance *balance, uint32_t f, enum ended_why why, uint8_t flags, lb_time now)
{
	record_end(balance, f, why, now);
	release(balance, f, why, now);
	flows_quarantine(&balance->flows, f, flags, balance_tick(balance, now));
	check_at_deadline(balance, f);
}

/* From live to reset, or if there was no connection yet to quarantine. */
static void reset(struct balance *balance, uint32_t f, enum end by, lb_time now)
{
	if (flows_at(&balance->flows, f)->state == FLOW_HALF_OPEN) {
		end(balance, f, ENDED_RST, (uint8_t)(FLOW_RST_SENT << by), now);
		return;
	}
	release(balance, f, ENDED_RST, now);
	flows_reset(&balance->flows, f, by, ms_of(balance, now));
	balance->reset++;
	check_at_deadline(balance, f);
}

/* From reset to quarantine. Any other state stays. */
static void bury(struct balance *balance, uint32_t f)
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
static bool is_unserved(const struct balance *balance, const struct flow *flow)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);

	return farm->gone || (farm->on_down == ON_DOWN_RESET &&
	                      health_of(&balance->farms->health, flow->server) == HEALTH_DOWN);
}

/* If the packet, which came from end, shows that the flow goes on though it was reset. */
static bool is_revival(const struct balance *balance, const struct flow *flow, enum end end,
                       const struct packet *packet, lb_time now)
{
	uint32_t ms = (balance_tick(balance, now) - flow->last) * FLOW_MS_PER_TICK;

	return flow->state == FLOW_RESET && tcp_goes_on(flow, end, packet) &&
	       (flow->flags & FLOW_RST_SENT << end || ms > BALANCE_CROSSING_MS) &&
	       !is_unserved(balance, flow);
}

/* From reset to what it was. Its check is due by then, and goes on from there. */
static void revive(struct balance *balance, uint32_t f)
{
	struct flow *flow = flows_at(&balance->flows, f);

	flows_revive(&balance->flows, f);
	tcp_revived(flow);
	sched_revived(&balance->farms->sched, flow->server, !flow_is_closing(flow));
	balance->counts.ended[ENDED_RST]--;
	balance->counts.revived++;
	balance->reset--;
	check_at_deadline(balance, f);
}

/* Where the flow's SNAT port stands; false if it has none to give back. */
static bool locate_port(const struct balance *balance, const struct flow *flow,
                        struct snat_port *ret)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	int service = rules_service(farm, flow->arrive[CLIENT].dport);

	return service >= 0 &&
	       snat_locate(&balance->farms->snat, flow->server, (unsigned)service,
	                   flow->arrive[SERVER].dst, flow->arrive[SERVER].dport, ret);
}

static void give_port_back(struct balance *balance, const struct flow *flow)
{
	struct snat_port port;

	if (locate_port(balance, flow, &port))
		snat_give_back(&balance->farms->snat,
		               balance->farms->rules->servers[flow->server].farm, port);
}

/* From quarantine to nothing. */
static void forget(struct balance *balance, uint32_t f)
{
	bury(balance, f);
	give_port_back(balance, flows_at(&balance->flows, f));
	flows_remove(&balance->flows, f);
}

static void cut_quarantine(struct balance *balance, uint32_t f)
{
	balance->counts.quarantine_cut++;
	forget(balance, f);
}

/* Ends a half-open flow at once, for another's sake. */
static void evict(struct balance *balance, uint32_t f, lb_time now)
{
	end(balance, f, ENDED_EVICTED, 0, now);
	forget(balance, f);
}

/* The oldest flow of the list that holds a port from the server's pools for service, or FLOW_NONE.
 */
static uint32_t oldest_with_port(const struct balance *balance, const struct flow_list *list,
                                 uint16_t server, be16 service)
{
	bool one_pool = rules_pools_per_server(farms_of_server(balance->farms, server)) == 1;
	uint32_t f = list->head;

	for (unsigned i = 0; i < BALANCE_CUT_TRIES && f != FLOW_NONE; i++) {
		const struct flow *flow = flows_at(&balance->flows, f);

		if (flow->server == server &&
		    (one_pool || be16_eq(flow->arrive[CLIENT].dport, service)))
			return f;
		f = flow->next;
	}
	return FLOW_NONE;
}

/* Makes an older flow give up its port; false if there is none that may. */
static bool free_a_port(struct balance *balance, uint16_t server, be16 service, lb_time now)
{
	uint32_t f = oldest_with_port(balance, &balance->flows.quarantine, server, service);

	if (f != FLOW_NONE) {
		cut_quarantine(balance, f);
		return true;
	}
	f = oldest_with_port(balance, &balance->flows.half_open, server, service);
	if (f == FLOW_NONE)
		return false;
	evict(balance, f, now);
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
		evict(balance, half_open->head, now);
}

static bool make_room(struct balance *balance, lb_time now)
{
	struct flows *flows = &balance->flows;

	limit_half_open(balance, now);
	if (flows_have_room(flows))
		return true;
	if (flows->quarantine.length)
		cut_quarantine(balance, flows->quarantine.head);
	else if (flows->half_open.length)
		evict(balance, flows->half_open.head, now);
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
	cut_quarantine(balance, flow_of(ref));
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

	for (unsigned i = 0; i < BALANCE_PORT_TRIES; i++) {
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

static void note_opened(struct balance *balance, uint32_t f, lb_time now)
{
	sched_opened(&balance->farms->sched, flows_at(&balance->flows, f)->server);
	balance->counts.created++;
	note_persist(balance, flows_at(&balance->flows, f), true, now);
}

/* old, a flow in quarantine of the same client and port, or FLOW_NONE, is found no more by what its
 * client sends: unless it has just made room, when key finds nothing. */
static void unlist_older(struct balance *balance, const struct flow_key *key, uint32_t old)
{
	if (old != FLOW_NONE)
		old = flows_find(&balance->flows, key, flows_hash(&balance->flows, &key->tuple));
	if (old == FLOW_NONE)
		return;
	bury(balance, flow_of(old));
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
		give_port_back(balance, &syn);
		return WHY_TABLE_FULL;
	}
	unlist_older(balance, key, old);
	f = flows_add(&balance->flows, syn.arrive, key->hashed, server, ms_of(balance, now),
	              deadline_of(balance, &syn));
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
	    persist_find(&balance->persist, rule->vip, client, balance_tick(balance, now),
	                 &server) &&
	    sched_has_room(sched, server))
		return server;
	return sched_pick(sched, farm, packet->src6 ? ip6_digest(packet->src6) : client, now);
}

/* If the present rules could give the flow the address and port that its server knows. */
static bool may_reopen(const struct balance *balance, const struct flow *flow)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	struct snat_port port;

	if (!farm->nsnat)
		return be32_eq(flow->arrive[SERVER].dst, flow->arrive[CLIENT].src) &&
		       be16_eq(flow->arrive[SERVER].dport, flow->arrive[CLIENT].sport);
	return locate_port(balance, flow, &port) &&
	       snat_allows(&balance->farms->snat, balance->farms->rules->servers[flow->server].farm,
	                   port);
}

static uint32_t reopen(struct balance *balance, uint32_t f, lb_time now)
{
	limit_half_open(balance, now);
	flows_reopen(&balance->flows, f, ms_of(balance, now));
	check_at_deadline(balance, f);
	note_opened(balance, f, now);
	return f << 1 | CLIENT;
}

enum lb_why balance_open(struct balance *balance, const struct packet *packet,
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
	    may_reopen(balance, flows_at(&balance->flows, flow_of(old)))) {
		bury(balance, flow_of(old));
		*ret_ref = reopen(balance, flow_of(old), now);
		return WHY_FLOW_NEW;
	}
	why = open_new(balance, packet, key, old, farm, service, server, now, ret_ref);
	balance->counts.refused += why != WHY_FLOW_NEW;
	return why;
}

void balance_count(struct balance *balance, uint32_t ref, uint32_t len, lb_time now)
{
	uint32_t f = flow_of(ref);
	struct flow *flow = flows_at(&balance->flows, f);

	/* in quarantine late packets are passed on, but don't prolong it */
	flows_count(&balance->flows, f, end_of(ref), len,
	            flow_is_live(flow) ? balance_tick(balance, now) : flow->last);
}

void balance_packet(struct balance *balance, uint32_t ref, const struct packet *packet,
                    uint32_t len, lb_time now)
{
	uint32_t f = flow_of(ref);
	struct flow *flow = flows_at(&balance->flows, f);
	unsigned events;

	if (is_revival(balance, flow, end_of(ref), packet, now))
		revive(balance, f);
	balance_count(balance, ref, len, now);
	if (end_of(ref) == CLIENT)
		flows_set_client(&balance->flows, f, &packet->from);
	if (!flow_is_live(flow))
		return;
	events = tcp_track(flow, end_of(ref), packet);
	if (events & TCP_HALF_CLOSED)
		sched_closing(&balance->farms->sched, flow->server);
	if (events &
	    TCP_OPENED) { /* its check is due within BALANCE_HALF_OPEN_S, and goes on from there */
		flows_set_state(&balance->flows, f, FLOW_OPEN);
		tcp_opened(flow, packet);
	}
	/* the FINs may have been before the handshake was complete */
	if (events & (TCP_OPENED | TCP_BOTH_CLOSED) && flow->state == FLOW_OPEN &&
	    flow_is_closed(flow))
		flows_set_state(&balance->flows, f, FLOW_CLOSING);
	if (events & TCP_ENDED)
		end(balance, f, ENDED_FIN, 0, now);
	else if (events & TCP_RESET)
		reset(balance, f, end_of(ref), now);
	else if (events & (TCP_OPENED | TCP_BOTH_CLOSED)) /* the first FIN shortens nothing */
		check_at_deadline(balance, f);
}

/* Describes a RST to an end, with sequence number seq. */
static void add_reset(struct balance *balance, uint32_t f, enum end to, uint32_t seq,
                      struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	struct own *own = &out->items[out->n++];
	struct rewrite_to arrival;

	*own = (struct own){
	        .kind = OWN_TCP,
	        .tcp_flags = TCP_RST,
	        .server = to == SERVER ? flow->server : SERVER_NONE,
	        .to = *flows_client(&balance->flows, f),
	        .tuple = tuple_reverse(flow->arrive[to]),
	        .ipv6 = flow_is_ipv6(flow),
	        .seq = seq,
	};
	if (own->ipv6) {
		balance_arrival(balance, f, to, &arrival);
		own->src6 = *arrival.dst6;
		own->dst6 = *arrival.src6;
	}
	/* nothing came from the server yet: the client believes what acknowledges its SYN */
	if (to == CLIENT && !(flow->flags & FLOW_SEQ_KNOWN << SERVER)) {
		own->tcp_flags |= TCP_ACK;
		own->seq = 0;
		own->ack = flow->next_seq[CLIENT];
	}
	balance->counts.resets++;
}

/*
 * Describes RSTs that the end believes (RFC 5961, 3.2): with the number that it expects next if all
 * has arrived, and if something may still be missing, also with the last one that it acknowledged.
 */
static void reset_end(struct balance *balance, uint32_t f, enum end to, struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	uint32_t expected = flow->next_seq[end_other(to)];

	add_reset(balance, f, to, expected, out);
	if (flow->flags & FLOW_SEQ_KNOWN << end_other(to) && flow->acked[to] != expected)
		add_reset(balance, f, to, flow->acked[to], out);
}

static void end_by_reset(struct balance *balance, uint32_t f, enum ended_why why, lb_time now,
                         struct own_list *out)
{
	reset_end(balance, f, CLIENT, out);
	reset_end(balance, f, SERVER, out);
	end(balance, f, why, FLOW_RESET_BY_US, now);
}

static bool has_room(const struct own_list *out)
{
	return out->max - out->n >= BALANCE_RESETS_MAX;
}

/* A flow that isn't due yet. While it is used its client sticks to its server. */
static void check_again(struct balance *balance, uint32_t f, lb_time now)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	uint32_t persist =
	        farms_of_server(balance->farms, flow->server)->persist_ms / FLOW_MS_PER_TICK;
	uint32_t deadline = deadline_of(balance, flow), tick = balance_tick(balance, now);

	if (persist && flow_is_live(flow)) {
		note_persist(balance, flow, false, now);
		if (deadline - tick > persist / 2)
			deadline = tick + persist / 2 + 1;
	}
	flows_check_again(&balance->flows, f, deadline);
}

static void expire(struct balance *balance, uint32_t f, lb_time now, struct own_list *out)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	uint32_t deadline = deadline_of(balance, flow);

	if (deadline > balance_tick(balance, now)) {
		check_again(balance, f, now);
		return;
	}
	if (!flow_is_live(flow)) {
		forget(balance, f);
		return;
	}
	flows_check_again(&balance->flows, f, FLOW_NEVER);
	if (flow->state == FLOW_OPEN && farm->on_idle == ON_IDLE_RESET)
		end_by_reset(balance, f, ENDED_IDLE, now, out);
	else
		end(balance, f, ENDED_IDLE, 0, now);
}

/*
 * Expires what is due from the cursor up to limit; false if out is full before. What these flows'
 * ends touch is all over the table: so it is fetched for some at a time.
 */
static bool expire_up_to(struct balance *balance, uint32_t limit, lb_time now, struct own_list *out)
{
	const uint32_t tick = balance_tick(balance, now);
	uint32_t due[BALANCE_EXPIRE_STEP], f = 0;
	unsigned n, max;

	while (f != FLOW_NONE && has_room(out)) {
		max = (out->max - out->n) / BALANCE_RESETS_MAX;
		for (n = 0; n < max && n < BALANCE_EXPIRE_STEP; n++) {
			f = flows_next_due(&balance->flows, &balance->cursor, limit, tick);
			if (f == FLOW_NONE)
				break;
			due[n] = f;
			flows_prefetch(&balance->flows, f);
		}
		for (unsigned i = 0; i < n; i++)
			flows_prefetch_places(&balance->flows, due[i]);
		for (unsigned i = 0; i < n; i++)
			expire(balance, due[i], now, out);
	}
	return f == FLOW_NONE;
}

bool balance_expire(struct balance *balance, lb_time now, struct own_list *out)
{
	uint64_t elapsed = now.ns - balance->swept.ns, share;
	uint32_t reached = balance->flows.reached;
	lb_time until;

	if (elapsed > LB_NS_PER_S)
		elapsed = LB_NS_PER_S;
	share = reached * elapsed / LB_NS_PER_S;
	if (!share && reached)
		return true;
	/* up to what this share covers: the rest of the time counts for the next call */
	until.ns = reached ? now.ns - elapsed + share * LB_NS_PER_S / reached : now.ns;
	if (balance->cursor + share > reached) {
		share -= reached - balance->cursor;
		if (!expire_up_to(balance, reached, now, out))
			return false;
		balance->cursor = 0;
	}
	if (!expire_up_to(balance, balance->cursor + (uint32_t)share, now, out))
		return false;
	balance->swept = until;
	return true;
}

/* Why the flow has to be reset though its ends are well, if it has. */
static bool is_doomed(const struct balance *balance, const struct flow *flow, enum ended_why *ret)
{
	if (!flow_is_live(flow) || !is_unserved(balance, flow))
		return false;
	*ret = farms_of_server(balance->farms, flow->server)->gone ? ENDED_RELOAD
	                                                           : ENDED_SERVER_DOWN;
	return true;
}

void balance_start_reaping(struct balance *balance)
{
	balance->reap_left = balance->reap_reached = balance->flows.reached;
}

bool balance_reap(struct balance *balance, lb_time now, struct own_list *out)
{
	enum ended_why why;

	/* places that were taken since are on the way, wherever the cursor is */
	if (balance->reap_left)
		balance->reap_left += balance->flows.reached - balance->reap_reached;
	balance->reap_reached = balance->flows.reached;
	for (unsigned i = 0; i < BALANCE_REAP_STEP && balance->reap_left && has_room(out); i++) {
		if (balance->reap_cursor >= balance->flows.reached)
			balance->reap_cursor = 0;
		if (is_doomed(balance, flows_at(&balance->flows, balance->reap_cursor), &why))
			end_by_reset(balance, balance->reap_cursor, why, now, out);
		balance->reap_cursor++;
		balance->reap_left--;
	}
	return balance->reap_left;
}

bool balance_bury(struct balance *balance, uint32_t *cursor)
{
	for (unsigned n = 0; balance->reset && n < ENDED_RING && *cursor < balance->flows.reached;
	     ++*cursor) {
		n += flows_at(&balance->flows, *cursor)->state == FLOW_RESET;
		bury(balance, *cursor);
	}
	return balance->reset;
}

static void move_flow(struct balance *balance, uint32_t f, uint16_t server)
{
	struct snat_port port;

	flows_renumber(&balance->flows, f, server);
	if (locate_port(balance, flows_at(&balance->flows, f), &port))
		snat_keep(&balance->farms->snat, balance->farms->rules->servers[server].farm, port);
}

void balance_move(struct balance *balance, struct farms *farms, const uint16_t *map)
{
	balance->farms = farms;
	persist_renumber(&balance->persist, map);
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		if (flows_at(&balance->flows, f)->state != FLOW_FREE)
			move_flow(balance, f, map[flows_at(&balance->flows, f)->server]);
}

void balance_referenced(const struct balance *balance, bool *ret)
{
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		if (flows_at(&balance->flows, f)->state != FLOW_FREE)
			ret[flows_at(&balance->flows, f)->server] = true;
}

uint32_t balance_quarantined(const struct balance *balance)
{
	return balance->flows.quarantine.length;
}

uint32_t balance_open_flows(const struct balance *balance)
{
	return balance->flows.reached - balance->flows.free.length -
	       balance->flows.quarantine.length;
}
