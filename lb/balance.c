/*
 * What is kept of balanced connections, and how it is laid out: flows, where clients stick, records
 * of ended flows. How one comes into being is in admit.c, how it goes on and ends in progress.c and
 * life.c, and what time and dead servers do to it in expire.c.
 */
#include "balance.h"

static_assert(RULES_SERVERS_KEPT_MAX <= 1 << FLOW_SERVER_BITS, "a flow holds its server's number");

/* Client addresses remembered for `persist`: as many as a full table has connections, over two. */
enum { BALANCE_PERSIST_SHARE = 2 };

static uint32_t at_least_one(uint32_t n)
{
	return n ? n : 1;
}

void balance_lay_out(struct balance *balance, struct arena *arena, const struct rules *rules,
                     const struct share *share, struct hash_key key, lb_time now)
{
	const uint32_t half_open =
	        rules->max_half_open ? rules->max_half_open : rules->max_connections / 2;
	const uint32_t most_open = at_least_one(share_of_limit(share, rules->max_connections)),
	               most_half_open = at_least_one(share_of_limit(share, half_open));

	*balance = (struct balance){.epoch = now,
	                            .swept = now,
	                            .most_open = most_open,
	                            .most_half_open = most_half_open};
	flows_lay_out(&balance->flows, arena, most_open + most_half_open, most_half_open, key);
	persist_lay_out(&balance->persist, arena, most_open / BALANCE_PERSIST_SHARE, &key);
	anew_lay_out(&balance->anew, arena);
	segment_lay_out(&balance->segment, arena, &key);
	waits_lay_out(&balance->waits, arena);
	limits_begin(&balance->limits, &key);
	strangers_lay_out(&balance->strangers, arena, share, &key, now);
	challenges_lay_out(&balance->challenges, arena, share, &key, now);
	ended_lay_out(&balance->ended, arena);
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

struct ip6 balance_client(const struct balance *balance, uint32_t f)
{
	const struct flow *flow = flows_at(&balance->flows, f);

	return flow_is_ipv6(flow) ? *ip6_of(balance, f, flow->arrive[CLIENT].src)
	                          : ip6_mapped(flow->arrive[CLIENT].src);
}

uint64_t balance_client_key(const struct balance *balance, uint32_t f)
{
	const struct ip6 client = balance_client(balance, f);

	return limits_key(flow_is_ipv6(flows_at(&balance->flows, f)), &client);
}

uint64_t balance_sender_key(const struct packet *packet)
{
	const struct ip6 sender = packet->src6 ? *packet->src6 : ip6_mapped(packet->tuple.src);

	return limits_key(packet->src6, &sender);
}

void balance_departure(const struct balance *balance, uint32_t ref, struct rewrite_to *ret)
{
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	ret->tuple = tuple_reverse(flow->arrive[end_other(end_of(ref))]);
	set_ip6(balance, flow_of(ref), ret);
}

/*
 * The farm's service from whose pools the flow has its SNAT port, or -1. After a reload that may be
 * another one that goes to the same port of the server.
 */
static int pooled_service(const struct rules_farm *farm, const struct flow *flow)
{
	const be16 port = flow->arrive[SERVER].sport;
	const int service = rules_service(farm, flow->arrive[CLIENT].dport);

	if (service >= 0 && be16_eq(rules_server_port(farm, (unsigned)service), port))
		return service;
	if (farm->nports > RULES_POOLED_PORTS_MAX)
		return 0; /* all are the same */
	for (unsigned i = 0; i < farm->nports; i++)
		if (be16_eq(rules_server_port(farm, i), port))
			return (int)i;
	return -1;
}

/* Where the flow's SNAT port stands; false if it has none to give back. */
bool balance_locate_port(const struct balance *balance, const struct flow *flow,
                         struct snat_port *ret)
{
	const struct rules_farm *farm = farms_of_server(balance->farms, flow->server);
	const int service = pooled_service(farm, flow);

	return service >= 0 &&
	       snat_locate(&balance->farms->snat, flow->server, (unsigned)service,
	                   flow->arrive[SERVER].dst, flow->arrive[SERVER].dport, ret);
}

bool balance_is_stray(const struct balance *balance, const struct flow *flow)
{
	struct snat_port port;

	return flow_has_snat(flow) &&
	       (!balance_locate_port(balance, flow, &port) ||
	        !snat_allows(&balance->farms->snat,
	                     balance->farms->rules->servers[flow->server].farm, port));
}

void balance_give_port_back(struct balance *balance, const struct flow *flow)
{
	struct snat_port port;

	if (balance_locate_port(balance, flow, &port))
		snat_give_back(&balance->farms->snat,
		               balance->farms->rules->servers[flow->server].farm, port);
}

bool balance_keep_port(struct balance *balance, uint16_t server, struct snat_port port)
{
	const unsigned farm = balance->farms->rules->servers[server].farm;
	struct snat *snat = &balance->farms->snat;
	const bool allowed = snat_allows(snat, farm, port);

	if (allowed && !snat_is_free(snat, port))
		balance->strays = UINT32_MAX / 2;
	snat_keep(snat, farm, port);
	return allowed;
}

struct limits_asker balance_asker(const struct balance *balance, uint32_t f)
{
	const struct rules *rules = balance->farms->rules;
	const struct ip6 client = balance_client(balance, f);

	return limits_asker(rules, rules->servers[flows_at(&balance->flows, f)->server].farm,
	                    &client);
}

void balance_count_clients(struct balance *balance, lb_time now)
{
	struct limits_asker asker;

	for (uint32_t f = 0; f < balance->flows.reached; f++) {
		const struct flow *flow = flows_at(&balance->flows, f);

		if (!flow_is_live(flow) || flow->state == FLOW_HALF_OPEN ||
		    !farms_of_server(balance->farms, flow->server)->client_connections)
			continue;
		asker = balance_asker(balance, f);
		limits_revived(&balance->limits, &asker, now);
	}
}

void balance_bar_flow(struct balance *balance, uint32_t f, bool begins)
{
	barred_flow(balance->limits.barred, balance_client_key(balance, f),
	            flows_at(&balance->flows, f)->arrive[CLIENT].sport, begins);
}

/* If any farm has limits, and all connections of a client are known here. */
static bool may_bar(const struct farms *farms)
{
	return limits_any_farm(farms->rules) && (farms->share.n == 1 || farms->share.by_address);
}

/* By other rules, or as it is the first time. */
static void bar_anew(struct balance *balance)
{
	if (!balance->limits.barred)
		return;
	balance->is_barring = may_bar(balance->farms);
	barred_clear(balance->limits.barred);
	barred_forget_flows(balance->limits.barred);
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		if (flows_at(&balance->flows, f)->state != FLOW_FREE)
			balance_note_flow(balance, f, true);
}

void balance_use_barred(struct balance *balance, struct barred *barred)
{
	balance->limits.barred = barred;
	bar_anew(balance);
}

/* The farm that serves the first port of a farm of other rules, or LIMITS_NO_FARM. */
static uint16_t farm_by_port(const struct farms *farms, const struct rules_farm *old)
{
	const struct addresses *addresses = &farms->addresses;
	const uint16_t vlan = rules_farm_vlan(old);
	unsigned farm, service;

	if (!old->nports ||
	    !farms_service(farms,
	                   name_is_ipv6(old->vip) ? addresses_find_name(addresses, old->vip, vlan)
	                                          : addresses_find(addresses, old->vip, vlan),
	                   old->ports[0], &farm, &service))
		return LIMITS_NO_FARM;
	return (uint16_t)farm;
}

/* The numbers of the old rules' farms among the new ones, by those of their servers; or by what
 * they serve. */
static void move_clients(struct balance *balance, const struct rules *old, const uint16_t *map)
{
	const struct rules *rules = balance->farms->rules;
	uint16_t farms[RULES_FARMS_MAX + RULES_SERVERS_KEPT_MAX]; /* a farm that is gone has one */

	for (unsigned f = 0; f < old->nfarms; f++)
		farms[f] = farm_by_port(balance->farms, &old->farms[f]);
	for (unsigned s = 0; s < old->nservers; s++)
		if (map[s] != SERVER_NONE)
			farms[old->servers[s].farm] = (uint16_t)rules->servers[map[s]].farm;
	limits_renumber(&balance->limits, farms, old->nfarms);
}

void balance_begin(struct balance *balance, struct farms *farms)
{
	balance->farms = farms;
	flows_use_names(&balance->flows, farms->rules->names);
	flows_use_heads(&balance->flows, farms->queues);
	flows_use_sums(&balance->flows, farms->sums);
}

void balance_queue_new(struct balance *balance, uint32_t f, const struct snat_port *port)
{
	if (port)
		flows_queue_half_open(&balance->flows, f, FLOW_BY_POOL,
		                      farms_half_open(port->pool));
	flows_queue_half_open(&balance->flows, f, FLOW_BY_SERVER,
	                      farms_opening(balance->farms, flows_at(&balance->flows, f)->server));
}

/* A port that the rules don't hand out any more is nobody's when its flow gives it up: such a flow
 * isn't queued for it. */
void balance_queue(struct balance *balance, uint32_t f)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	struct snat_port port;
	const bool has_port = balance_locate_port(balance, flow, &port) &&
	                      snat_allows(&balance->farms->snat,
	                                  balance->farms->rules->servers[flow->server].farm, port);

	if (flow->state == FLOW_HALF_OPEN)
		balance_queue_new(balance, f, has_port ? &port : NULL);
	else if (has_port)
		flows_queue_resting(&balance->flows, f, farms_resting(port.pool));
}

/* If the farm has, or keeps, what the flow's server knows its client by. */
static bool has_snat_of(const struct rules_farm *farm, const struct flow *flow)
{
	if (!flow_has_snat(flow))
		return !farm->nsnat || farm->keeps_off;
	for (unsigned i = 0; i < rules_all_snat(farm); i++)
		if (be32_eq(farm->snat[i], flow->arrive[SERVER].dst))
			return true;
	return false;
}

/*
 * Where farms share the VIP, a flow is of the one that serves its port, if that has the server too,
 * and the flow's SNAT address: ports may have gone from one farm to another. Else it stays where it
 * was, as an address that is in nobody's file is ours while its own farm has flows of it (kept.h).
 */
static uint16_t server_by_port(const struct farms *farms, const struct flow *flow, uint16_t server)
{
	const struct rules_server *rule = &farms->rules->servers[server];
	const struct rules_farm *farm;
	unsigned f, service;

	if (!farms->services.vips[rule->farm].is_shared ||
	    !services_find(&farms->services, rule->farm, flow->arrive[CLIENT].dport, &f,
	                   &service) ||
	    f == rule->farm)
		return server;
	farm = &farms->rules->farms[f];
	if (!has_snat_of(farm, flow))
		return server;
	for (unsigned s = farm->server; s < farm->server + farm->nservers; s++)
		if (be32_eq(farms->rules->servers[s].address, rule->address))
			return (uint16_t)s;
	return server;
}

/* The server's number under the present rules, as whose the flow counts from now on. */
static uint16_t assign(struct balance *balance, const struct flow *flow, uint16_t mapped)
{
	const uint16_t server = server_by_port(balance->farms, flow, mapped);
	const bool is_live = flow_is_live(flow);

	if (server != mapped)
		sched_reassign(&balance->farms->sched, mapped, server, is_live,
		               flow->state == FLOW_HALF_OPEN, is_live && !flow_is_closing(flow));
	return server;
}

/* A client of IPv6 whom the rules name from now on, as he is a server of theirs, is known by that
 * name. */
static void name_client(struct balance *balance, uint32_t f)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const struct tuple *arrive = flow->arrive;
	struct tuple named[2] = {arrive[CLIENT], arrive[SERVER]};
	const be32 before = arrive[CLIENT].src;

	if (!flow_is_ipv6(flow) || !name_is_hashed(before) ||
	    !addresses_name(&balance->farms->addresses, &balance->flows.client6[f],
	                    &named[CLIENT].src))
		return;
	if (!flow_has_snat(flow))
		named[SERVER].dst = named[CLIENT].src;
	flows_name(&balance->flows, f, named);
}

static void move_flow(struct balance *balance, uint32_t f, uint16_t mapped)
{
	const struct flow *flow = flows_at(&balance->flows, f);
	const uint16_t server = assign(balance, flow, mapped);
	struct snat_port port;

	flows_renumber(&balance->flows, f, server);
	name_client(balance, f);
	kept_count(&balance->farms->kept, flow, 1);
	balance->strays += balance_is_stray(balance, flow);
	if (balance_locate_port(balance, flow, &port))
		balance_keep_port(balance, server, port);
}

/* Puts all flows that stand in queues, in the order in which they do, into those of other rules. */
static void queue_all(struct balance *balance)
{
	struct flows *flows = &balance->flows;

	for (uint32_t f = flows_first_half_open(flows); f != FLOW_NONE;
	     f = flows_next_half_open(flows, f))
		balance_queue(balance, f);
	for (uint32_t f = flows->quarantine.head; f != FLOW_NONE; f = flows_next_resting(flows, f))
		balance_queue(balance, f);
}

/* If it leaves all n numbers as they are. */
static bool is_identity(const uint16_t *map, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (map[i] != i)
			return false;
	return true;
}

void balance_move(struct balance *balance, struct farms *farms, const uint16_t *map)
{
	const struct rules *old = balance->farms->rules;

	balance_begin(balance, farms);
	move_clients(balance, old, map);
	balance->strays = 0;
	if (!is_identity(map, old->nservers)) /* else this would take long for nothing */
		persist_renumber(&balance->persist, map);
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		if (flows_at(&balance->flows, f)->state != FLOW_FREE)
			move_flow(balance, f, map[flows_at(&balance->flows, f)->server]);
	balance->has_moved = true;
	queue_all(balance);
	balance_count_clients(balance, balance->swept);
	bar_anew(balance);
}

void balance_referenced(const struct balance *balance, bool *ret)
{
	for (unsigned s = 0; s < balance->farms->rules->nservers; s++)
		ret[s] |= sched_has_flows(&balance->farms->sched, s);
}

void balance_referenced_snat(const struct balance *balance, bool *ret)
{
	const struct farms *farms = balance->farms;
	const uint32_t strays = BOTH_READ(balance->strays);

	for (unsigned f = 0; f < farms->rules->nfarms; f++) {
		const struct rules_farm *farm = &farms->rules->farms[f];

		for (unsigned i = 0; i < farm->nsnat; i++) /* a stray may have any of them */
			*ret++ |= strays ||
			          BOTH_READ(farms->snat.in_use[farms->snat.farms[f].address + i]);
		for (unsigned i = 0; i < farm->nkept; i++)
			*ret++ |= kept_flows(&farms->kept, f, i);
		*ret++ |= !farm->nsnat || kept_flows(&farms->kept, f, farm->nkept);
	}
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

uint32_t balance_established(const struct balance *balance)
{
	return balance_open_flows(balance) - balance->flows.openings.list.length;
}
