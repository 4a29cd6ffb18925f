/*
 * The engine's books, counted anew from the flow table, which is small.
 */
#include "books.h"

#include "ensure.h"

#include <stdlib.h>

enum { NCOUNTS = 64 };

static void check_sums(const struct lb *lb, uint64_t nframes)
{
	const struct balance *balance = lb_balance(lb);
	uint64_t sum = 0, ended = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		sum += lb_whys(lb)[i];
	ENSURE(sum == nframes);
	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += balance->counts.ended[i];
	ENSURE(balance->counts.created == balance_open_flows(balance) + ended);
}

/* Each server has the flows, the connections and the load that the flows say. */
static void check_servers(const struct balance *balance)
{
	const struct rules *rules = balance->farms->rules;
	uint32_t flows[NCOUNTS] = {0}, connections[NCOUNTS] = {0}, loads[NCOUNTS] = {0};

	ENSURE(rules->nservers <= NCOUNTS);
	for (uint32_t f = 0; f < balance->flows.reached; f++) {
		const struct flow *flow = flows_at(&balance->flows, f);

		if (flow->state == FLOW_FREE)
			continue;
		ENSURE(flow->server < rules->nservers);
		flows[flow->server]++;
		if (!flow_is_live(flow))
			continue;
		connections[flow->server]++;
		loads[flow->server] += !flow_is_closing(flow);
	}
	for (unsigned s = 0; s < rules->nservers; s++) {
		ENSURE(balance->farms->sched.servers[s].flows == flows[s]);
		ENSURE(balance->farms->sched.servers[s].connections == connections[s]);
		ENSURE(balance->farms->sched.servers[s].load == loads[s]);
	}
}

static bool serves_from(const struct rules_farm *farm, be16 port)
{
	for (unsigned i = 0; i < farm->nports; i++)
		if (be16_eq(rules_server_port(farm, i), port))
			return true;
	return false;
}

/* The farm's address that a flow has a port of, or -1: with snat = off, or after a reload, by which
 * its address may be gone, or its server's port. */
static int snat_of(const struct rules_farm *farm, const struct flow *flow)
{
	if (!serves_from(farm, flow->arrive[SERVER].sport))
		return -1;
	for (unsigned i = 0; i < farm->nsnat; i++)
		if (be32_eq(farm->snat[i], flow->arrive[SERVER].dst))
			return (int)i;
	return -1;
}

/* Each address has as many ports in use as flows hold. */
static void check_ports(const struct balance *balance)
{
	const struct rules *rules = balance->farms->rules;
	uint32_t held[NCOUNTS] = {0}, first[NCOUNTS], addresses = 0;

	for (unsigned f = 0; f < rules->nfarms; f++) {
		first[f] = addresses;
		addresses += rules->farms[f].nsnat;
	}
	ENSURE(addresses <= NCOUNTS);
	for (uint32_t f = 0; f < balance->flows.reached; f++) {
		const struct flow *flow = flows_at(&balance->flows, f);
		unsigned farm;
		int address;

		if (flow->state == FLOW_FREE)
			continue;
		farm = rules->servers[flow->server].farm;
		address = snat_of(&rules->farms[farm], flow);
		if (address >= 0)
			held[first[farm] + (unsigned)address]++;
	}
	for (uint32_t i = 0; i < addresses; i++)
		ENSURE(balance->farms->snat.in_use[i] == held[i]);
}

/* Those whose port isn't one of the pools' are counted, unless two have one port, when it is enough
 * that there seem to be some. */
static void check_strays(const struct balance *balance)
{
	const struct flows *flows = &balance->flows;
	uint32_t n = 0;

	for (uint32_t f = 0; f < flows->reached; f++)
		n += flows_at(flows, f)->state != FLOW_FREE &&
		     balance_is_stray(balance, flows_at(flows, f));
	ENSURE(balance->strays == n || balance->strays > UINT32_MAX / 4);
}

/* What a reload has taken out of the rules is counted as long as a flow has it. */
static void check_kept(const struct balance *balance)
{
	const struct kept *kept = &balance->farms->kept;
	struct kept again = {.rules = kept->rules, .first = kept->first};
	uint32_t n = 0;

	for (unsigned f = 0; f < kept->rules->nfarms; f++)
		n += kept->rules->farms[f].nkept + 1;
	again.flows = calloc(n + 1, sizeof(*again.flows));
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		if (flows_at(&balance->flows, f)->state != FLOW_FREE)
			kept_count(&again, flows_at(&balance->flows, f), 1);
	for (uint32_t i = 0; i < n; i++)
		ENSURE(again.flows[i] == kept->flows[i]);
	ENSURE(again.all == kept->all);
	free(again.flows);
}

/* The index finds the flow by its tuples, and by nothing that isn't its own. */
static void check_found(const struct flows *flows, uint32_t f)
{
	const struct flow *flow = flows_at(flows, f);
	bool ipv6 = flow_is_ipv6(flow);

	for (unsigned e = CLIENT; e <= SERVER; e++) {
		const struct tuple *tuple = &flow->arrive[e];
		bool hashed = ipv6 && (name_is_hashed(tuple->src) || name_is_hashed(tuple->dst));
		const struct flow_key key = {.tuple = *tuple,
		                             .ipv6 = ipv6,
		                             .hashed = hashed ? &flows->client6[f] : NULL};
		uint32_t ref = flows_find(flows, &key, flows_hash_key(flows, &key));

		if (e == CLIENT && flow->flags & FLOW_CLIENT_UNLISTED)
			ENSURE(ref == FLOW_NONE || flow_of(ref) != f);
		else
			ENSURE(ref == (f << 1 | e));
	}
}

static void check_index(const struct flows *flows)
{
	uint32_t listed = 0, entries = 0;

	for (uint32_t f = 0; f < flows->reached; f++) {
		if (flows_at(flows, f)->state == FLOW_FREE)
			continue;
		check_found(flows, f);
		listed += flows_at(flows, f)->flags & FLOW_CLIENT_UNLISTED ? 1 : 2;
	}
	for (uint32_t b = 0; b < flows->index.nbuckets; b++)
		for (unsigned i = 0; i < INDEX_SLOTS; i++)
			entries += flows->index.buckets[b].tag[i] != 0;
	ENSURE(entries == listed);
}

static bool is_in(const struct flows *flows, uint32_t f, unsigned states)
{
	return states >> flows_at(flows, f)->state & 1;
}

static uint32_t count_in(const struct flows *flows, unsigned states)
{
	uint32_t n = 0;

	for (uint32_t f = 0; f < flows->reached; f++)
		n += is_in(flows, f, states);
	return n;
}

/* Whose element of the queues it is. */
static uint32_t flow_at(const struct flows *flows, const struct queues *queues, uint32_t at)
{
	if (queues == &flows->resting)
		return at;
	ENSURE(flows->spare[flows->openings.at[at].flow].opening == at);
	return flows->openings.at[at].flow;
}

/* Both ways, each flow in one of these states (as bits) once. */
static void check_list(const struct flows *flows, const struct queues *queues,
                       const struct flow_list *list, unsigned states)
{
	uint32_t n = 0, before = FLOW_NONE;

	for (uint32_t at = list->head; at != FLOW_NONE;
	     at = queues_link(queues, at, FLOW_BY_STATE)->next) {
		ENSURE(n++ < flows->places);
		ENSURE(is_in(flows, flow_at(flows, queues, at), states) &&
		       queues_link(queues, at, FLOW_BY_STATE)->prev == before);
		before = at;
	}
	ENSURE(list->tail == before);
	ENSURE(n == list->length && n == count_in(flows, states));
}

/* How many stand in the queue, each of which must be in one of these states. */
static uint32_t check_queue(const struct flows *flows, const struct queues *queues, uint32_t head,
                            enum flow_queue queue, unsigned states)
{
	uint32_t n = 0, before = FLOW_HEAD | head, at;

	for (at = queues->heads[head].next; !(at & FLOW_HEAD);
	     at = queues_link(queues, at, queue)->next) {
		ENSURE(n++ < flows->capacity);
		ENSURE(is_in(flows, flow_at(flows, queues, at), states) &&
		       queues_link(queues, at, queue)->prev == before);
		before = at;
	}
	ENSURE(at == (FLOW_HEAD | head) && queues->heads[head].prev == before);
	return n;
}

/* Each place for a half-open flow is one's, or vacant. */
static void check_openings(const struct flows *flows, uint32_t most)
{
	uint32_t n = 0;

	for (uint32_t at = flows->openings.vacant; at != FLOW_NONE;
	     at = flows->openings.at[at].in[FLOW_BY_STATE].next) {
		ENSURE(n++ < most && at < most && flows->openings.at[at].flow == FLOW_NONE);
	}
	ENSURE(n + flows->openings.list.length == most);
}

/* Each half-open flow stands in its server's queue; and in its pool's, as each that rests does, if
 * it has one. */
static void check_queues(const struct balance *balance)
{
	const unsigned resting = 1u << FLOW_RESET | 1u << FLOW_QUARANTINE,
	               half_open = 1u << FLOW_HALF_OPEN;
	const struct flows *flows = &balance->flows;
	const struct farms *farms = balance->farms;
	uint32_t by_server = 0, by_pool = 0, pooled = 0;
	struct snat_port port;

	for (unsigned s = 0; s < farms->rules->nservers; s++) {
		uint32_t n = check_queue(flows, &flows->openings.queues, farms_opening(farms, s),
		                         FLOW_BY_SERVER, half_open);

		ENSURE(n == farms->sched.servers[s].half_open);
		by_server += n;
	}
	ENSURE(by_server == flows->openings.list.length);
	for (uint32_t p = 0; p < farms->snat.npools; p++)
		by_pool += check_queue(flows, &flows->resting, farms_resting(p), FLOW_BY_POOL,
		                       resting) +
		           check_queue(flows, &flows->openings.queues, farms_half_open(p),
		                       FLOW_BY_POOL, half_open);
	for (uint32_t f = 0; f < flows->reached; f++)
		pooled += is_in(flows, f, resting | half_open) &&
		          balance_locate_port(balance, flows_at(flows, f), &port);
	ENSURE(by_pool == pooled);
}

/* Each place of a hop is held by as many flows as it says. */
static void check_hops(const struct flows *flows)
{
	uint32_t users[HOPS_PLACES_MAX] = {0};

	for (uint32_t f = 0; f < flows->reached; f++)
		if (flows_at(flows, f)->state != FLOW_FREE)
			users[flows_at(flows, f)->hop]++;
	for (unsigned p = 0; p < flows->hops.nplaces; p++)
		ENSURE(flows->hops.places[p].users == users[p]);
}

/* Whatever isn't free will be looked at. */
static void check_timers(const struct flows *flows)
{
	for (uint32_t f = 0; f < flows->reached; f++)
		ENSURE((flows_at(flows, f)->state == FLOW_FREE) ==
		       (flows->check_at[f] == FLOW_NEVER));
}

void books_check(const struct lb *lb, uint64_t nframes)
{
	const struct balance *balance = lb_balance(lb);
	const struct flows *flows = &balance->flows;

	check_sums(lb, nframes);
	check_servers(balance);
	check_ports(balance);
	check_strays(balance);
	check_kept(balance);
	check_index(flows);
	check_list(flows, &flows->resting, &flows->free, 1u << FLOW_FREE);
	check_list(flows, &flows->openings.queues, &flows->openings.list, 1u << FLOW_HALF_OPEN);
	check_list(flows, &flows->resting, &flows->quarantine,
	           1u << FLOW_RESET | 1u << FLOW_QUARANTINE);
	ENSURE(flows->openings.list.length <= balance->most_half_open);
	check_openings(flows, balance->most_half_open);
	check_queues(balance);
	check_hops(flows);
	check_timers(flows);
}

/* The client's open connections, by the flows. */
static unsigned count_open(const struct balance *balance, const struct limits_client *client)
{
	unsigned n = 0;

	for (uint32_t f = 0; f < balance->flows.reached; f++) {
		const struct flow *flow = flows_at(&balance->flows, f);
		struct limits_asker asker;

		if (!flow_is_live(flow) || flow->state == FLOW_HALF_OPEN)
			continue;
		asker = balance_asker(balance, f);
		n += asker.farm == client->farm && asker.key == client->key;
	}
	return n;
}

void books_check_limits(const struct lb *lb)
{
	const struct balance *balance = lb_balance(lb);
	const struct limits *limits = &balance->limits;
	uint64_t clients = 0, places = 0, flows = 0;

	for (unsigned i = 0; i < limits_places(limits); i++) {
		const struct limits_client *client = &limits->clients[i];

		if (client->farm == LIMITS_NO_FARM)
			continue;
		clients++;
		if (balance->farms->rules->farms[client->farm].client_connections)
			ENSURE(client->open == count_open(balance, client));
	}
	ENSURE(clients == limits->counts.clients);
	if (!balance->is_barring)
		return;
	for (unsigned i = 0; i < BARRED_FLOWS; i++)
		places += limits->barred->flows[i];
	for (uint32_t f = 0; f < balance->flows.reached; f++)
		flows += flows_at(&balance->flows, f)->state != FLOW_FREE;
	ENSURE(places == flows);
}
