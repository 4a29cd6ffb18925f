/*
 * The fuzzers' engine: few flows, few ports, few addresses, so that everything collides.
 *
 * farm 0: VIP 10.0.0.40, ports 80 and 443, two SNAT addresses with six ports each, two checked
 * servers 10.0.0.41 and .42, persistence. farm 1: VIP 10.0.0.50, port 80, snat = off, one unchecked
 * server 10.0.0.51. The other set of rules lacks server .42 and farm 1, and has a server .43.
 */
#include "engine.h"

#include <stdlib.h>

#define ENSURE(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct setup {
	struct rules *rules;
	struct farms *farms;
};

static struct setup current;
static const struct hash_key key;

static be32 address(unsigned last)
{
	return be32_from(0x0a000000u + last);
}

static void *copy(const void *from, size_t bytes)
{
	void *to = malloc(bytes);

	memcpy(to, from, bytes);
	return to;
}

static void fill_farm(struct rules_farm *farm, unsigned vip, bool snat)
{
	const be16 ports[] = {be16_from(80), be16_from(443)};
	const be32 addresses[] = {address(vip), address(vip + 100)};
	const struct port_range range = {2000, 2005};

	*farm = (struct rules_farm){
	        .vip = address(vip),
	        .ports = copy(ports, sizeof(ports)),
	        .nports = 2,
	        .fall = 1,
	        .rise = 1,
	        .check_interval_ms = 1000,
	        .check_timeout_ms = 500,
	        .idle_timeout_ms = 5000,
	        .persist_ms = snat ? 3000 : 0,
	        .snat = snat ? copy(addresses, sizeof(addresses)) : NULL,
	        .nsnat = snat ? 2 : 0,
	        .snat_ports = copy(&range, sizeof(range)),
	        .nsnat_ports = 1,
	        .checks = copy(ports, sizeof(ports[0])),
	        .nchecks = snat,
	        .connlog = copy("-", 2),
	};
}

static void add_server(struct rules *rules, unsigned farm, unsigned last)
{
	struct rules_farm *of = &rules->farms[farm];

	if (!of->nservers)
		of->server = rules->nservers;
	of->nservers++;
	rules->servers[rules->nservers++] = (struct rules_server){
	        .farm = farm, .address = address(last), .weight = 1, .state = STATE_ACTIVE};
}

static struct rules *make_rules(bool other)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	rules->max_connections = 16;
	rules->farms = calloc(2, sizeof(*rules->farms));
	rules->servers = calloc(4, sizeof(*rules->servers));
	rules->nfarms = other ? 1 : 2;
	fill_farm(&rules->farms[0], 40, true);
	add_server(rules, 0, 41);
	add_server(rules, 0, other ? 43 : 42);
	if (!other) {
		fill_farm(&rules->farms[1], 50, false);
		add_server(rules, 1, 51);
	}
	return rules;
}

static struct setup setup_new(struct rules *rules, lb_time now)
{
	size_t bytes = farms_size(rules);

	return (struct setup){rules, farms_init(aligned_alloc(ARENA_ALIGN, bytes), rules,
	                                        &share_whole, &key, now)};
}

static void setup_free(struct setup setup)
{
	free(setup.farms);
	rules_free(setup.rules);
}

struct lb *engine_new(lb_time now)
{
	static const struct mac macs[NSIDES] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}};
	struct rules *rules = make_rules(false);
	static void *mem; /* taken once: to take it anew would be most of the work */
	struct lb *lb;

	if (!mem)
		mem = aligned_alloc(ARENA_ALIGN, lb_size(rules, &share_whole));
	current = setup_new(rules, now);
	lb = lb_init(mem, current.farms, &key, macs, now);
	lb_probed(lb, 0, 0, true, now);
	lb_probed(lb, 1, 0, true, now);
	return lb;
}

void engine_free(struct lb *lb)
{
	(void)lb;
	setup_free(current);
}

void engine_reload(struct lb *lb, lb_time now)
{
	static bool other;
	struct rules *rules = make_rules(other = !other);
	bool referenced[64] = {false};
	uint16_t map[64];
	struct setup old = current;

	ENSURE(old.rules->nservers <= 64);
	balance_referenced(lb_balance(lb), referenced);
	ENSURE(rules_take_over(rules, old.rules, referenced, map) == 0);
	current = setup_new(rules, now);
	lb_reload(lb, current.farms, map);
	setup_free(old);
}

static void check_servers(const struct balance *balance)
{
	uint32_t connections = 0;

	for (unsigned s = 0; s < balance->farms->rules->nservers; s++) {
		const struct server *server = &balance->farms->sched.servers[s];

		ENSURE(server->load <= server->connections);
		connections += server->connections;
	}
	ENSURE(connections == balance_open_flows(balance));
}

/* Each port in use is held by one flow, and the other way round. */
static void check_ports(const struct balance *balance)
{
	const struct rules *rules = balance->farms->rules;
	uint32_t held = 0, in_use = 0, addresses = 0;

	for (uint32_t f = 0; f < balance->flows.reached; f++) {
		const struct flow *flow = &balance->flows.flow[f];
		const struct rules_farm *farm = &rules->farms[rules->servers[flow->server].farm];

		held += flow->state != FLOW_FREE && farm->nsnat;
	}
	for (unsigned f = 0; f < rules->nfarms; f++)
		addresses += rules->farms[f].nsnat;
	for (uint32_t i = 0; i < addresses; i++)
		in_use += balance->farms->snat.in_use[i];
	ENSURE(held == in_use);
}

void engine_check(const struct lb *lb, uint64_t frames)
{
	const struct balance *balance = lb_balance(lb);
	uint64_t sum = 0, ended = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		sum += lb_whys(lb)[i];
	ENSURE(sum == frames);
	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += balance->counts.ended[i];
	ENSURE(balance->counts.created == balance_open_flows(balance) + ended);
	check_servers(balance);
	check_ports(balance);
}
