/*
 * SNAT ports against an array with a mark for each.
 *
 * snat.h says which port is next: the farm's addresses in turn, of a pool the first free port after
 * the last handed out. Where a pool begins isn't said, so its first port may be any.
 */
#include "../unit/fixture.h"
#include "../unit/random.h"
#include "../unit/suites.h"

#include "../../lb/snat.h"

#include <stdlib.h>

enum { PORTS = 65536, ADDRESSES = 3, SERVERS = 2, ROUNDS = 8000, HELD = 4096 };

struct twin_pool {
	bool busy[PORTS];
	int last; /* -1: nothing was handed out yet */
};

static struct twin_pool pools[SERVERS][FIXTURE_SERVICES][ADDRESSES];
static unsigned turns[SERVERS];
static unsigned lowest, highest; /* ports that may be handed out */
static struct snat snat;
static struct rules *rules;

static struct held {
	unsigned server, service;
	struct snat_port port;
} held[HELD];
static unsigned nheld;

static bool is_allowed(unsigned port, uint16_t first, uint16_t last, bool vip)
{
	if (port >= 1008 && port < 1024) /* of probes */
		return false;
	for (unsigned i = 0; vip && i < rules->farms[0].nports; i++)
		if (be16_get(rules->farms[0].ports[i]) == port)
			return false;
	return port >= first && port <= last;
}

static void *begin(uint16_t first, uint16_t last)
{
	const be32 addresses[ADDRESSES] = {fixture_vip(), ip4(10, 0, 0, 38), ip4(10, 0, 0, 39)};
	const struct hash_key key = {{random_next(), random_next()}};
	struct arena measure = {0}, arena = {0};

	rules = fixture_rules(SERVERS);
	fixture_set_snat(&rules->farms[0], addresses, ADDRESSES);
	fixture_set_snat_ports(&rules->farms[0], first, last);
	snat_lay_out(&snat, &measure, rules, &share_whole, &key);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	snat_lay_out(&snat, &arena, rules, &share_whole, &key);
	nheld = 0;
	lowest = first;
	highest = last;
	for (unsigned s = 0; s < SERVERS; s++)
		for (unsigned v = 0; v < FIXTURE_SERVICES; v++)
			for (unsigned a = 0; a < ADDRESSES; a++) {
				pools[s][v][a].last = -1;
				for (unsigned p = 0; p < PORTS; p++)
					pools[s][v][a].busy[p] =
					        !is_allowed(p, first, last, a == 0);
			}
	memset(turns, 0, sizeof(turns));
	return arena.base;
}

/* The first free port after the last one, around the end; PORTS if there is none. */
static unsigned next_free(const struct twin_pool *pool)
{
	unsigned first = pool->last < 0 ? lowest : (unsigned)pool->last + 1;

	for (unsigned port = first; port <= highest; port++)
		if (!pool->busy[port])
			return port;
	for (unsigned port = lowest; port < first; port++)
		if (!pool->busy[port])
			return port;
	return PORTS;
}

static void check_taken(const struct held *h, bool taken)
{
	for (unsigned i = 0; i < ADDRESSES; i++) {
		unsigned a = (turns[h->server] + i) % ADDRESSES;
		struct twin_pool *pool = &pools[h->server][h->service][a];
		unsigned port = next_free(pool), got = be16_get(h->port.port);

		if (port == PORTS)
			continue;
		require(taken);
		require_eq(h->port.address, a);
		require(!pool->busy[got]);
		if (pool->last >= 0)
			require_eq(got, port);
		pool->busy[got] = true;
		pool->last = (int)got;
		turns[h->server] = a + 1;
		return;
	}
	require(!taken);
}

static void take(void)
{
	struct held h = {random_below(SERVERS), random_below(FIXTURE_SERVICES), {0}};
	bool taken = snat_take(&snat, 0, h.server, h.service, &h.port);

	check_taken(&h, taken);
	if (taken)
		held[nheld++] = h;
}

static void give_back(void)
{
	unsigned i = random_below(nheld);
	struct held h = held[i];
	struct snat_port port;
	be32 address = rules->farms[0].snat[h.port.address];

	require(snat_locate(&snat, h.server, h.service, address, h.port.port, &port));
	require_eq(port.pool, h.port.pool);
	require_eq(port.address, h.port.address);
	snat_give_back(&snat, 0, port);
	pools[h.server][h.service][h.port.address].busy[be16_get(h.port.port)] = false;
	held[i] = held[--nheld];
}

static void churn(uint16_t first, uint16_t last)
{
	void *mem = begin(first, last);
	uint32_t in_use = 0;

	for (unsigned i = 0; i < ROUNDS; i++)
		if (nheld && (nheld == HELD || random_below(100) < (i / 1024 % 2 ? 35u : 65u)))
			give_back();
		else
			take();
	for (unsigned a = 0; a < ADDRESSES; a++)
		in_use += snat.in_use[a];
	require_eq(in_use, nheld);
	free(mem);
	rules_free(rules);
}

START_TEST(few_ports)
{
	churn(2000, 2000);
	churn(5055, 5070); /* around service ports */
	churn(2047, 2130); /* across words of a bitmap */
}
END_TEST

START_TEST(many_ports)
{
	churn(1000, 1100); /* around the probes' */
	churn(65400, 65535);
	churn(1, 65535);
}
END_TEST

Suite *snat_twin_suite(void)
{
	const TTest *const tests[] = {few_ports, many_ports, NULL};

	return suite_of("snat_twin", tests);
}
