/*
 * A small OCS pool, and an engine over it.
 */
#include "fixture.h"
#include "suites.h"

#include "../../lb/takeover.h"

#include <malloc.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { TICK_MS = 50, EPOCH_S = 1000, ISN_CLIENT = 1000, ISN_SERVER = 500000 };

void fixture_set_ports(struct rules_farm *farm, uint16_t first, uint16_t last)
{
	farm->nports = last - first + 1u;
	free(farm->ports);
	farm->ports = calloc(farm->nports, sizeof(*farm->ports));
	for (unsigned i = 0; i < farm->nports; i++)
		farm->ports[i] = be16_from((uint16_t)(first + i));
}

void fixture_set_snat(struct rules_farm *farm, const be32 *addresses, unsigned n)
{
	free(farm->snat);
	farm->snat = calloc(n ? n : 1, sizeof(*farm->snat));
	for (unsigned i = 0; i < n; i++)
		farm->snat[i] = addresses[i];
	farm->nsnat = n;
}

void fixture_set_snat_ports(struct rules_farm *farm, uint16_t first, uint16_t last)
{
	free(farm->snat_ports);
	farm->snat_ports = calloc(1, sizeof(*farm->snat_ports));
	farm->snat_ports[0] = (struct port_range){first, last};
	farm->nsnat_ports = 1;
}

static void set_farm(struct rules_farm *farm, unsigned n, unsigned server, unsigned nservers)
{
	static const uint16_t ports[FIXTURE_SERVICES] = {443, 444, 5060, 5061};
	const be32 vip = ip4(10, 0, (uint8_t)n, 40);

	snprintf(farm->name, sizeof(farm->name), "farm%u", n);
	farm->vip = vip;
	fixture_set_ports(farm, 1, FIXTURE_SERVICES);
	for (unsigned i = 0; i < FIXTURE_SERVICES; i++)
		farm->ports[i] = be16_from(ports[i]);
	farm->check_interval_ms = 5000;
	farm->check_timeout_ms = 2000;
	farm->fall = 3;
	farm->rise = 2;
	farm->scheduler = SCHED_WLC;
	farm->idle_timeout_ms = 30 * 60 * 1000;
	fixture_set_snat(farm, &vip, 1);
	fixture_set_snat_ports(farm, 1024, 65535);
	farm->server = server;
	farm->nservers = nservers;
}

static struct rules *make_rules(unsigned nfarms, unsigned nservers)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	rules->max_connections = 1000;
	rules->workers = 1;
	rules->nfarms = nfarms;
	rules->farms = calloc(nfarms, sizeof(*rules->farms));
	rules->nservers = nfarms * nservers;
	rules->servers = calloc(rules->nservers ? rules->nservers : 1, sizeof(*rules->servers));
	for (unsigned f = 0; f < nfarms; f++)
		set_farm(&rules->farms[f], f, f * nservers, nservers);
	for (unsigned s = 0; s < rules->nservers; s++) {
		struct rules_server *server = &rules->servers[s];

		snprintf(server->name, sizeof(server->name), "server%u", s);
		server->farm = s / nservers;
		server->address = ip4(10, 0, (uint8_t)server->farm, (uint8_t)(41 + s % nservers));
		server->weight = 1;
		server->state = STATE_ACTIVE;
		server->has_mac = true;
		server->mac = mac_of((uint8_t)(0x41 + s));
	}
	return rules;
}

struct rules *fixture_rules(unsigned nservers)
{
	return make_rules(1, nservers);
}

struct rules *fixture_farms(unsigned nfarms, unsigned nservers)
{
	return make_rules(nfarms, nservers);
}

struct rules *fixture_two_farms(void)
{
	return make_rules(2, 2);
}

struct ip6 fixture_ip6(be32 ip)
{
	struct ip6 ret = {{0x20, 0x01, 0x0d, 0xb8}};

	memcpy(ret.b + 12, &ip, sizeof(ip));
	return ret;
}

static void name(struct rules *rules, be32 *address)
{
	const struct ip6 ip = fixture_ip6(*address);

	require(rules_name(rules, &ip, address) == 0);
}

void fixture_make_ipv6(struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++) {
		name(rules, &rules->farms[f].vip);
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++)
			name(rules, &rules->farms[f].snat[i]);
	}
	for (unsigned s = 0; s < rules->nservers; s++)
		name(rules, &rules->servers[s].address);
}

void engine_use_extras(struct engine *engine, const struct rules *rules)
{
	for (unsigned i = 0; i < LB_EXTRAS; i++) {
		const size_t bytes = lb_extra_size(engine->lb, rules, (enum lb_extra)i);

		if (!bytes)
			continue;
		free(engine->extra_mem[i]);
		engine->extra_mem[i] = aligned_alloc(ARENA_ALIGN, bytes);
		memset(engine->extra_mem[i], 0xa5, bytes);
		lb_use_extra(engine->lb, (enum lb_extra)i, engine->extra_mem[i], engine->now);
	}
}

/* The memory of the last engine, for the next one if there is enough of it: to take, fill and give
 * back some millions of bytes each time would be most of what short tests do. */
static void *kept;

enum { HUGE_PAGE = 2 << 20 };

/* Nothing may count on zeros: new memory has none, and what an engine doesn't lay out anew in kept
 * memory is still that, or is what the last one has left there. */
static void *new_memory(size_t bytes)
{
	void *mem = NULL;

	require(posix_memalign(&mem, HUGE_PAGE, bytes) == 0);
	madvise(mem, bytes, MADV_HUGEPAGE); /* else each small page is a fault, in each process */
	memset(mem, 0xa5, bytes);
	return mem;
}

static void *take_memory(size_t bytes)
{
	void *mem = kept;

	if (!mem || malloc_usable_size(mem) < bytes)
		return new_memory(bytes);
	ASAN_UNPOISON_MEMORY_REGION(mem, bytes);
	kept = NULL;
	return mem;
}

static void give_back(void *mem)
{
	free(kept);
	kept = mem;
	if (mem)
		ASAN_POISON_MEMORY_REGION(mem, malloc_usable_size(mem));
}

void engine_take_memory(struct engine *engine, size_t bytes)
{
	give_back(engine->mem);
	engine->mem = take_memory(bytes);
}

void engine_start_share(struct engine *engine, struct rules *rules, const struct share *share)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	size_t size = lb_size(rules, share), farms_bytes = farms_size(rules);

	*engine = (struct engine){.rules = rules};
	engine->now = (lb_time){EPOCH_S * LB_NS_PER_S};
	engine->mem = take_memory(size);
	engine->farms_mem = aligned_alloc(ARENA_ALIGN, farms_bytes);
	memset(engine->farms_mem, 0xa5, farms_bytes);
	engine->lb =
	        lb_init(engine->mem, farms_init(engine->farms_mem, rules, share, &key, engine->now),
	                &key, macs, engine->now);
	engine_use_extras(engine, rules);
}

void engine_start(struct engine *engine, struct rules *rules)
{
	engine_start_share(engine, rules, &share_whole);
}

void engine_reload(struct engine *engine, struct rules *rules)
{
	const struct share share = lb_balance(engine->lb)->farms->share;
	const struct hash_key key = {{0, 0}};
	bool *referenced = calloc(engine->rules->nservers + 1, sizeof(*referenced));
	bool *used = calloc(takeover_count_snat(engine->rules) + 1, sizeof(*used));
	uint16_t *map = calloc(engine->rules->nservers + 1, sizeof(*map));
	void *mem;

	balance_referenced(lb_balance(engine->lb), referenced);
	balance_referenced_snat(lb_balance(engine->lb), used);
	require(takeover_rules(rules, engine->rules, referenced, used, map) == 0);
	engine_use_extras(engine, rules);
	mem = aligned_alloc(ARENA_ALIGN, farms_size(rules));
	memset(mem, 0xa5, farms_size(rules));
	lb_reload(engine->lb, farms_init(mem, rules, &share, &key, engine->now), map);
	free(referenced);
	free(used);
	free(map);
	free(engine->farms_mem);
	rules_free(engine->rules);
	engine->farms_mem = mem;
	engine->rules = rules;
}

void engine_rules_changed(struct engine *engine)
{
	struct farms *farms = engine->farms_mem;

	farms->health.changes++;
}

void engine_start_shared(struct engine *engine, struct rules *rules, struct table *ret_table)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	size_t size;

	engine_start(engine, rules);
	size = lb_table_sizes(engine->rules, &share_whole, ret_table);
	for (unsigned i = 0; i < TABLE_NARRAYS; i++) {
		struct table_array *array = &ret_table->arrays[i];
		const size_t bytes = array->elements * array->element_bytes;

		array->memory = aligned_alloc(ARENA_ALIGN,
		                              (bytes + ARENA_ALIGN - 1) & -(size_t)ARENA_ALIGN);
	}
	engine_take_memory(engine, size);
	engine->lb =
	        lb_init_shared(engine->mem, ret_table, engine->farms_mem, &key, macs, engine->now);
	engine_use_extras(engine, rules);
}

void engine_stop_shared(struct engine *engine, struct table *table)
{
	for (unsigned i = 0; i < TABLE_NARRAYS; i++)
		free(table->arrays[i].memory);
	engine_stop(engine);
}

void engine_stop(struct engine *engine)
{
	give_back(engine->mem);
	free(engine->farms_mem);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		free(engine->extra_mem[i]);
	rules_free(engine->rules);
}

struct verdict engine_input(struct engine *engine, struct built *built)
{
	uint64_t before[LB_NWHYS], changed = 0;
	struct verdict verdict;

	memcpy(before, lb_whys(engine->lb), sizeof(before));
	lb_input(engine->lb, &built->frame, 1, engine->now, &verdict);
	require(verdict.why < LB_NWHYS);
	require_eq(verdict.act, lb_why_act((enum lb_why)verdict.why));
	for (unsigned i = 0; i < LB_NWHYS; i++)
		changed += lb_whys(engine->lb)[i] - before[i];
	require_eq(changed, 1);
	require_eq(lb_whys(engine->lb)[verdict.why], before[verdict.why] + 1);
	return verdict;
}

struct spec spec_syn(be32 client, uint16_t sport, uint16_t dport)
{
	return (struct spec){
	        .dst = FIXTURE_OUTSIDE_MAC,
	        .src = FIXTURE_CLIENT_MAC,
	        .side = OUTSIDE,
	        .from = client,
	        .to = fixture_vip(),
	        .sport = sport,
	        .dport = dport,
	        .seq = ISN_CLIENT,
	        .flags = 0x02,
	        .tcp_options = 12,
	};
}

static unsigned server_at(const struct rules *rules, const uint8_t *ip)
{
	unsigned s = 0;

	while (s < rules->nservers && memcmp(&rules->servers[s].address, ip, 4) != 0)
		s++;
	ck_assert_uint_lt(s, rules->nservers);
	return s;
}

struct verdict talk_syn(struct talk *ret, struct engine *engine, be32 client, uint16_t sport,
                        uint16_t dport)
{
	const struct spec spec = spec_syn(client, sport, dport);

	return talk_syn_from(ret, engine, &spec);
}

struct verdict talk_syn_from(struct talk *ret, struct engine *engine, const struct spec *syn)
{
	struct verdict verdict;
	struct built built;
	const uint8_t *p;

	frames_tcp(&built, syn);
	verdict = engine_input(engine, &built);
	if (verdict.act != LB_FORWARD)
		return verdict;
	p = built.frame.data;
	*ret = (struct talk){
	        .engine = engine,
	        .client = syn->from,
	        .sport = syn->sport,
	        .dport = syn->dport,
	        .server = server_at(engine->rules, p + built.l3 + 16),
	        .snat = be32_load(p + built.l3 + 12),
	        .snat_port = frames_get16(p + built.l4),
	        .server_port = frames_get16(p + built.l4 + 2),
	        .next = {syn->seq + 1, ISN_SERVER},
	};
	return verdict;
}

struct spec talk_spec(const struct talk *talk, enum end end, uint8_t flags, uint16_t payload)
{
	struct spec spec = spec_syn(talk->client, talk->sport, talk->dport);

	if (end == SERVER) {
		spec.src = talk->engine->rules->servers[talk->server].mac;
		spec.dst = FIXTURE_INSIDE_MAC;
		spec.side = INSIDE;
		spec.from = talk->engine->rules->servers[talk->server].address;
		spec.to = talk->snat;
		spec.sport = talk->server_port ? talk->server_port : talk->dport;
		spec.dport = talk->snat_port;
	}
	spec.flags = flags;
	spec.seq = talk->next[end];
	spec.ack = talk->next[end_other(end)];
	spec.payload = payload;
	return spec;
}

struct verdict talk_send(struct talk *talk, enum end end, uint8_t flags, uint16_t payload)
{
	struct spec spec = talk_spec(talk, end, flags, payload);
	struct built built;

	frames_tcp(&built, &spec);
	talk->next[end] += payload + (flags & 1u) + (flags >> 1 & 1u);
	return engine_input(talk->engine, &built);
}

void talk_open(struct talk *ret, struct engine *engine, be32 client, uint16_t sport, uint16_t dport)
{
	ck_assert_uint_eq(talk_syn(ret, engine, client, sport, dport).why, WHY_FLOW_NEW);
	ck_assert_uint_eq(talk_send(ret, SERVER, 0x12, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(ret, CLIENT, 0x10, 0).why, WHY_FLOW_HIT);
}

void talk_close(struct talk *talk, enum end first)
{
	talk_send(talk, first, 0x11, 0);
	talk_send(talk, end_other(first), 0x11, 0);
	talk_send(talk, first, 0x10, 0);
}

void engine_poll(struct engine *engine)
{
	struct own owns[EXPIRE_RESETS_MAX * 2];
	bool more;

	do {
		unsigned n = lb_poll(engine->lb, engine->now, owns, EXPIRE_RESETS_MAX * 2, &more);

		require(n <= EXPIRE_RESETS_MAX * 2);
		for (unsigned i = 0; i < n && engine->nowns < FIXTURE_OWNS; i++)
			engine->owns[engine->nowns++] = owns[i];
	} while (more);
}

/* By how much time goes on at once when so much is left: as the loop that polls does, but by
 * seconds until the last minute. */
static uint64_t step_ms(uint64_t left)
{
	if (left > 60 * 1000)
		return 1000;
	return left < TICK_MS ? left : TICK_MS;
}

void engine_wait_ms(struct engine *engine, uint64_t ms)
{
	while (ms > 0) {
		uint64_t step = step_ms(ms);

		engine->now.ns += step * LB_NS_PER_MS;
		engine_poll(engine);
		ms -= step;
	}
}
