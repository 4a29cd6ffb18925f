/*
 * Random configurations.
 *
 * Farm f has VIP 10.f.0.40, other SNAT addresses 10.f.0.38 and .39, servers 10.f.0.41 and on, and
 * clients 10.9.f.1 and on; or all of them behind 2001:db8::. Or it has the VIP of the farm before
 * it, and perhaps its servers and other SNAT addresses, with ports of its own.
 */
#include "world.h"

#include "../unit/random.h"

#include <stdio.h>
#include <stdlib.h>

enum { EPOCH_S = 1000, SNAT_FIRST = 2000, SERVICE_IN_SNAT = 2003, POLL_MAX = 64 };

struct mac world_mac(enum side side)
{
	return (struct mac){{2, 0, 0, 0, 0, (uint8_t)(1 + side)}};
}

/* One of those given. */
#define ONE_OF(...)                                                                                \
	((const uint32_t[]){                                                                       \
	        __VA_ARGS__})[random_below(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))]

/* What a farm has in common with the one before it. */
struct sharing {
	unsigned of_vip; /* farms before it that have the same VIP */
	uint8_t b;       /* by which its addresses are told from other VIPs' */
	bool servers;
};

static struct ip6 ip6_of(uint8_t b, uint8_t c, uint8_t d)
{
	return (struct ip6){{0x20, 0x01, 0x0d, 0xb8, [12] = 10, b, c, d}};
}

static be32 address(struct rules *rules, bool v6, uint8_t b, uint8_t c, uint8_t d)
{
	be32 ret = {{10, b, c, d}};
	struct ip6 ip = ip6_of(b, c, d);

	if (v6 && rules_name(rules, &ip, &ret) != 0)
		report_mismatch("no room for a name");
	return ret;
}

struct addr world_client(const struct world *world, unsigned farm, unsigned client)
{
	const struct rules_farm *f = &world->rules->farms[farm];
	bool v6 = name_is_ipv6(f->vip);
	const uint8_t c = (uint8_t)farm, d = (uint8_t)(client + 1);
	struct ip6 ip = ip6_of(9, c, d);

	if (client >= WORLD_CLIENTS)
		return addr_of_server(world->rules,
		                      f->server + (client - WORLD_CLIENTS) % f->nservers);
	return v6 ? addr_of6(&ip) : addr_of4((be32){{10, 9, c, d}});
}

/* A farm that is the n-th of its VIP has ports that no other one of it has. */
static void set_ports(struct rules_farm *f, unsigned n)
{
	static const uint16_t ports[] = {80, 443, SERVICE_IN_SNAT, 5060};

	f->nports = 1 + random_below(4);
	f->ports = calloc(f->nports, sizeof(*f->ports));
	for (unsigned i = 0; i < f->nports; i++)
		f->ports[i] = be16_from((uint16_t)(ports[i] + n));
	f->all_down = random_below(3) ? ALL_DOWN_OUT : ALL_DOWN_KEEP;
	f->nchecks = random_below(3);
	if (f->nchecks > f->nports)
		f->nchecks = f->nports;
	f->checks = calloc(f->nchecks + 1, sizeof(*f->checks));
	memcpy(f->checks, f->ports, f->nchecks * sizeof(*f->ports));
}

/* Some services are at another port of the servers; with SNAT perhaps several at the same one. */
static void map_ports(struct rules_farm *f)
{
	static const uint16_t at[] = {8080, 443, 8080, 80};

	if (random_below(2))
		return;
	f->server_ports = calloc(f->nports, sizeof(*f->server_ports));
	for (unsigned i = 0; i < f->nports; i++)
		f->server_ports[i] = be16_from((uint16_t)(f->nsnat ? at[i] : 9000 + i));
}

static void set_snat(struct rules *rules, unsigned farm, uint8_t b, bool v6)
{
	struct rules_farm *f = &rules->farms[farm];

	f->nsnat_ports = 1;
	f->snat_ports = calloc(1, sizeof(*f->snat_ports));
	f->snat_ports[0] =
	        (struct port_range){SNAT_FIRST, (uint16_t)(SNAT_FIRST + ONE_OF(4, 8, 31, 63))};
	if (random_below(6) == 0)
		f->snat_ports[0] = (struct port_range){1000, 65535};
	f->nsnat = ONE_OF(0, 1, 1, 2, 2, 2);
	f->snat = calloc(2, sizeof(*f->snat));
	if (f->nsnat > 0)
		f->snat[0] = random_below(3) ? f->vip : address(rules, v6, b, 0, 38);
	if (f->nsnat > 1)
		f->snat[1] = address(rules, v6, b, 0, 39);
}

/* A farm with servers of the one before it has SNAT if that does. */
static void take_over_snat(struct rules_farm *f, const struct rules_farm *before)
{
	if (!f->nsnat != !before->nsnat) {
		f->nsnat = before->nsnat;
		memcpy(f->snat, before->snat, before->nsnat * sizeof(*f->snat));
	}
}

static void set_farm(struct rules *rules, unsigned farm, const struct sharing *sharing)
{
	struct rules_farm *f = &rules->farms[farm];
	const struct rules_farm *before = sharing->of_vip ? f - 1 : NULL;
	const bool v6 = before ? name_is_ipv6(before->vip) : random_below(3) == 0;

	snprintf(f->name, sizeof(f->name), "farm%u", farm);
	f->vip = address(rules, v6, sharing->b, 0, 40);
	set_ports(f, sharing->of_vip);
	set_snat(rules, farm, sharing->b, v6);
	if (before) /* they may have a server and an address in common: its ports don't overlap in
	               part */
		f->snat_ports[0] = before->snat_ports[0];
	if (sharing->servers)
		take_over_snat(f, before);
	map_ports(f);
	f->check_interval_ms = 5000;
	f->check_timeout_ms = 2000;
	f->fall = 1 + random_below(3);
	f->rise = 1 + random_below(3);
	f->scheduler = (enum rules_scheduler)random_below(RULES_NSCHEDULERS);
	f->persist_ms = ONE_OF(0, 0, 0, 3000, 60000);
	f->idle_timeout_ms = ONE_OF(5000, 20000, 90000, 1800000);
	f->on_idle = random_below(3) ? ON_IDLE_RESET : ON_IDLE_DROP;
	f->on_down = random_below(3) ? ON_DOWN_RESET : ON_DOWN_KEEP;
	f->client_connections = ONE_OF(0, 0, 0, 2, 5);
	f->client_rate = ONE_OF(0, 0, 0, 1, 5, 20);
	f->client_burst = ONE_OF(0, 1, 10);
	f->block_for_ms = ONE_OF(0, 2000, 20000);
	f->on_limit = random_below(3) ? ON_LIMIT_RESET : ON_LIMIT_DROP;
	f->vlan = before ? before->vlan : (uint16_t)ONE_OF(0, 0, WORLD_VLAN, WORLD_VLAN + 1);
	f->connlog = strdup("-");
	f->server = rules->nservers;
	f->nservers = 1 + random_below(4);
	rules->nservers += f->nservers;
}

/* Servers of the farm before it: with the same MAC addresses, and in the same VLANs. */
static void take_over_server(struct rules *rules, unsigned farm, unsigned n)
{
	const struct rules_farm *before = &rules->farms[farm - 1];
	struct rules_server *server = &rules->servers[rules->farms[farm].server + n];

	if (n >= before->nservers)
		return;
	server->vlan = rules->servers[before->server + n].vlan;
	server->mac = rules->servers[before->server + n].mac;
}

static void set_server(struct rules *rules, unsigned farm, unsigned n,
                       const struct sharing *sharing)
{
	const unsigned index = rules->farms[farm].server + n;
	struct rules_server *server = &rules->servers[index];
	bool v6 = name_is_ipv6(rules->farms[farm].vip);

	snprintf(server->name, sizeof(server->name), "server%u", index);
	server->farm = farm;
	server->address = address(rules, v6,
	                          sharing->servers || !sharing->of_vip ? sharing->b : (uint8_t)farm,
	                          0, (uint8_t)(41 + n));
	server->weight = (uint8_t)ONE_OF(1, 1, 1, 1, 2, 3, 7, 0);
	server->state = (enum rules_state)ONE_OF(0, 0, 0, 0, 0, STATE_STANDBY, STATE_LAST_RESORT,
	                                         STATE_DRAIN, STATE_DISABLED);
	server->max_connections = ONE_OF(0, 0, 0, 5, 12);
	server->vlan = rules->farms[farm].vlan;
	if (random_below(6) == 0)
		server->vlan = (uint16_t)ONE_OF(0, WORLD_VLAN, WORLD_VLAN + 2);
	server->has_mac = true;
	server->mac = (struct mac){{2, 0, 0, 0, 1, (uint8_t)(0x41 + index)}};
	if (sharing->servers)
		take_over_server(rules, farm, n);
}

/* The client is what an empty list has. */
static void list(const struct addr *client, enum prefix_word word, struct prefixes *ret)
{
	struct ip6 ip;

	memcpy(&ip, client->b, sizeof(ip));
	if (!client->v6)
		ip = ip6_mapped(be32_load(client->b));
	*ret = (struct prefixes){calloc(3, sizeof(ip)), calloc(3, 1), 3};
	ret->first[1] = ret->first[2] = ip;
	ret->first[2].b[15]++;
	ret->word[1] = (uint8_t)word;
}

/* The first of the farm's clients may be denied, and the second one exempt. */
static void list_clients(struct world *w, unsigned farm)
{
	struct rules_farm *rules = &w->rules->farms[farm];

	if (!random_below(4)) {
		w->model.denied[farm] = world_client(w, farm, 0);
		list(&w->model.denied[farm], PREFIX_DENY, &rules->access);
	}
	if (!random_below(4)) {
		w->model.exempt[farm] = world_client(w, farm, 1);
		list(&w->model.exempt[farm], PREFIX_EXEMPT, &rules->exempt);
	}
}

/* So that they may be full of connections none of which is open, many enough to count. */
static void limit_all(struct rules *rules)
{
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].max_connections = 15 + random_below(10);
}

static struct rules *make_rules(void)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	struct sharing sharing = {0};

	rules->max_connections = ONE_OF(8, 16, 40, 100, 200, 200);
	rules->max_half_open = ONE_OF(1, 4, 20, 50, 100);
	rules->workers = 1;
	rules->nfarms = 1 + random_below(3);
	rules->farms = calloc(rules->nfarms, sizeof(*rules->farms));
	rules->servers = calloc(MODEL_SERVERS, sizeof(*rules->servers));
	for (unsigned f = 0; f < rules->nfarms; f++) {
		if (f && random_below(3) == 0)
			sharing = (struct sharing){sharing.of_vip + 1, sharing.b, random_below(2)};
		else
			sharing = (struct sharing){.b = (uint8_t)f};
		set_farm(rules, f, &sharing);
		for (unsigned s = 0; s < rules->farms[f].nservers; s++)
			set_server(rules, f, s, &sharing);
	}
	if (random_below(3) == 0)
		limit_all(rules);
	return rules;
}

static void *take(size_t bytes)
{
	void *mem = aligned_alloc(ARENA_ALIGN, bytes);

	memset(mem, 0xa5, bytes); /* nothing may count on zeros */
	return mem;
}

void world_use_extras(struct world *w, const struct rules *rules)
{
	for (unsigned i = 0; i < LB_EXTRAS; i++) {
		const size_t bytes = lb_extra_size(w->lb, rules, (enum lb_extra)i);

		if (!bytes)
			continue;
		w->extra_mem[i] = take(bytes);
		lb_use_extra(w->lb, (enum lb_extra)i, w->extra_mem[i], w->now);
	}
}

void world_place_servers(struct world *w)
{
	for (unsigned s = 0; s < w->rules->nservers; s++)
		lb_place_server(w->lb, s, &(struct hop){.side = INSIDE});
}

void world_begin(struct world *w)
{
	const struct mac macs[NSIDES] = {world_mac(OUTSIDE), world_mac(INSIDE)};
	const struct hash_key key = {{random_next(), random_next()}};
	struct rules *rules = make_rules();

	w->rules = rules;
	w->file = NULL;
	w->now = (lb_time){EPOCH_S * LB_NS_PER_S + random_below(1000000000)};
	w->nowns = 0;
	w->mem = take(lb_size(rules, &share_whole));
	w->farms_mem = take(farms_size(rules));
	memset(w->extra_mem, 0, sizeof(w->extra_mem));
	w->lb = lb_init(w->mem, farms_init(w->farms_mem, rules, &share_whole, &key, w->now), &key,
	                macs, w->now);
	world_use_extras(w, rules);
	world_place_servers(w);
	model_init(&w->model, rules, macs, w->now);
	for (unsigned f = 0; f < rules->nfarms; f++)
		list_clients(w, f);
	world_begin_reloads(w);
}

void world_end(struct world *w)
{
	model_free(&w->model);
	free(w->mem);
	free(w->farms_mem);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		free(w->extra_mem[i]);
	rules_free(w->rules);
	rules_free(w->file);
}

void world_poll(struct world *w)
{
	bool more;
	unsigned n;

	w->nowns = 0;
	do {
		unsigned max = EXPIRE_RESETS_MAX + random_below(POLL_MAX - EXPIRE_RESETS_MAX);

		if (w->nowns + max > WORLD_OWNS)
			report_mismatch("a poll doesn't end");
		n = lb_poll(w->lb, w->now, w->owns + w->nowns, max, &more);
		w->nowns += n;
	} while (more);
}
