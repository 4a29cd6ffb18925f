/*
 * SNAT ports: each once, in turn, and none that may not be.
 */
#include "snat_fixture.h"
#include "random.h"

#include <stdlib.h>

START_TEST(each_port_once_then_none)
{
	static bool seen[PORTS];
	struct snat_port port;
	unsigned n = 0, service_ports = 0;

	begin(fixture_rules(2), random_next());
	for (unsigned i = 0; i < rules->farms[0].nports; i++)
		service_ports += be16_get(rules->farms[0].ports[i]) >= 1024;
	while (snat_take(&snat, 0, 0, 0, &port)) {
		uint16_t p = be16_get(port.port);

		require(!seen[p]);
		require(p >= 1024);
		require(rules_service(&rules->farms[0], port.port) < 0);
		seen[p] = true;
		n++;
	}
	require_eq(n, PORTS - 1024 - service_ports);
	require_eq(snat.in_use[snat.farms[0].address], n);
	/* the pools of other services and servers are untouched */
	take(0, 1, &port);
	take(1, 0, &port);
	end();
}
END_TEST

/* The one that will be used up first; the counts go with what is taken and given back. */
START_TEST(the_fullest_pool)
{
	struct snat_fill fullest = {.room = 1};
	struct snat_port port, last;

	begin(fixture_rules(2), random_next());
	snat_fullest(&snat, 0, &fullest);
	require_eq(fullest.taken, 0);
	take(0, 0, &port);
	take(1, 2, &port);
	take(1, 2, &last);
	snat_fullest(&snat, 0, &fullest);
	require_eq(fullest.taken, 2);
	require_eq(fullest.server, 1);
	require_eq(be16_get(fullest.port), be16_get(rules_server_port(&rules->farms[0], 2)));
	snat_give_back(&snat, 0, port);
	snat_give_back(&snat, 0, last);
	fullest = (struct snat_fill){.room = 1};
	snat_fullest(&snat, 0, &fullest);
	require_eq(fullest.taken, 1);
	require_eq(fullest.server, 0);
	while (snat_take(&snat, 0, 0, 0, &port))
		;
	snat_fullest(&snat, 0, &fullest);
	require_eq(fullest.taken, fullest.room);
	end();
}
END_TEST

START_TEST(order_goes_around)
{
	struct snat_port port;
	uint16_t first, last;

	begin(fixture_rules(1), 0);
	fixture_set_snat_ports(&rules->farms[0], 2000, 2199);
	struct rules *small = rules;
	free(mem);
	begin(small, 7);
	first = last = take(0, 0, &port);
	snat_give_back(&snat, 0, port);
	for (unsigned i = 1; i < 200; i++) {
		uint16_t p = take(0, 0, &port);

		require_eq(p, last == 2199 ? 2000 : last + 1);
		snat_give_back(&snat, 0, port);
		last = p;
	}
	require_eq(take(0, 0, &port), first);
	end();
}
END_TEST

START_TEST(ends_of_the_range)
{
	const uint16_t ranges[][2] = {{65535, 65535}, {1, 1},         {63, 64},
	                              {1024, 1025},   {65472, 65535}, {2000, 65535}};

	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		struct rules *from = fixture_rules(1);
		unsigned want = ranges[i][1] - ranges[i][0] + 1u, n = 0;
		struct snat_port port;

		fixture_set_ports(&from->farms[0], 9, 9);
		fixture_set_snat_ports(&from->farms[0], ranges[i][0], ranges[i][1]);
		begin(from, random_next());
		for (; snat_take(&snat, 0, 0, 0, &port); n++) {
			require(be16_get(port.port) >= ranges[i][0]);
			require(be16_get(port.port) <= ranges[i][1]);
		}
		require_eq(n, want - (ranges[i][0] <= 9 && ranges[i][1] >= 9));
		end();
	}
}
END_TEST

START_TEST(several_ranges)
{
	struct rules *from = fixture_rules(1);
	struct rules_farm *farm = &from->farms[0];
	struct snat_port port;
	unsigned n = 0;

	free(farm->snat_ports);
	farm->snat_ports = calloc(2, sizeof(*farm->snat_ports));
	farm->snat_ports[0] = (struct port_range){5059, 5062};
	farm->snat_ports[1] = (struct port_range){40000, 40000};
	farm->nsnat_ports = 2;
	begin(from, random_next());
	for (; snat_take(&snat, 0, 0, 0, &port); n++)
		require(be16_get(port.port) == 5059 || be16_get(port.port) == 5062 ||
		        be16_get(port.port) == 40000);
	require_eq(n, 3);
	end();
}
END_TEST

/* The first free port after from, going around. */
static uint16_t next_free(const bool busy[PORTS], uint16_t from)
{
	do
		from++;
	while (busy[from]);
	return from;
}

/*
 * 99 % are taken: those that are free have their turn in order, however few and wherever they are.
 */
START_TEST(turns_when_nearly_full)
{
	static struct snat_port held[PORTS];
	static bool busy[PORTS];
	struct snat_port port;
	unsigned n = 0;
	uint16_t last = 0;

	begin(fixture_rules(1), random_next());
	while (snat_take(&snat, 0, 0, 0, &held[n]))
		last = be16_get(held[n++].port);
	memset(busy, 1, sizeof(busy));
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = random_below(n);

		if (i >= 600) {
			port = held[k];
			last = next_free(busy, last);
			require_eq(take(0, 0, &held[k]), last);
			busy[last] = true;
		} else {
			port = held[k];
			held[k] = held[--n];
		}
		snat_give_back(&snat, 0, port);
		busy[be16_get(port.port)] = false;
	}
	end();
}
END_TEST

START_TEST(random_use_is_the_naive_set)
{
	static bool busy[PORTS];
	struct rules *from = fixture_rules(1);
	struct snat_port held[300], port;
	unsigned n = 0;

	fixture_set_snat_ports(&from->farms[0], 5000, 5299);
	begin(from, random_next());
	for (unsigned i = 0; i < 50000; i++) {
		if (random_below(100) < (i / 1000 % 2 ? 40 : 60)) {
			bool got = snat_take(&snat, 0, 0, 2, &port);

			require(got == (n < 298)); /* less 5060 and 5061 */
			if (!got)
				continue;
			require(!busy[be16_get(port.port)]);
			busy[be16_get(port.port)] = true;
			held[n++] = port;
		} else if (n > 0) {
			unsigned k = random_below(n);

			busy[be16_get(held[k].port)] = false;
			snat_give_back(&snat, 0, held[k]);
			held[k] = held[--n];
		}
		require_eq(snat.in_use[snat.farms[0].address], n);
	}
	end();
}
END_TEST

static struct rules *three_addresses(void)
{
	const be32 addresses[] = {ip4(10, 0, 0, 40), ip4(10, 0, 0, 50), ip4(10, 0, 0, 51)};
	struct rules *from = fixture_rules(2);

	fixture_set_snat(&from->farms[0], addresses, 3);
	fixture_set_snat_ports(&from->farms[0], 5000, 5099);
	return from;
}

START_TEST(addresses_evenly)
{
	struct snat_port port;
	unsigned n = 0;

	begin(three_addresses(), 0);
	for (unsigned i = 0; i < 90; i++)
		take(0, 0, &port);
	for (unsigned a = 0; a < 3; a++)
		require_eq(snat.in_use[snat.farms[0].address + a], 30);
	/* service ports are the VIP's own, and free at the other addresses */
	while (snat_take(&snat, 0, 0, 0, &port))
		n++;
	require_eq(n, 98 + 100 + 100 - 90);
	end();
}
END_TEST

/* Servers and addresses taken in turn must not go in step. */
START_TEST(addresses_evenly_per_server)
{
	const be32 addresses[] = {ip4(10, 0, 0, 40), ip4(10, 0, 0, 50)};
	struct rules *from = fixture_rules(2);
	unsigned n[2][2] = {{0}};
	struct snat_port port;

	fixture_set_snat(&from->farms[0], addresses, 2);
	begin(from, 0);
	for (unsigned i = 0; i < 100; i++) {
		take(i % 2, 0, &port);
		n[i % 2][port.address]++;
	}
	for (unsigned s = 0; s < 2; s++)
		require_eq(n[s][0], n[s][1]);
	end();
}
END_TEST

/* A replay knows the ports that are taken, and not those that have been taken and given back. */
START_TEST(goes_on_as_recalled)
{
	struct snat_port port;
	uint16_t last[3 * RULES_POOLED_PORTS_MAX], next[6];
	unsigned n;

	begin(three_addresses(), 0);
	n = snat_pools_of(rules, 1);
	ck_assert_uint_eq(n, 3 * rules->farms[0].nports);
	for (unsigned i = 0; i < 250; i++) {
		take(1, 0, &port);
		snat_give_back(&snat, 0, port);
	}
	for (unsigned i = 0; i < n; i++)
		last[i] = snat_last(&snat, 1, i);
	ck_assert_uint_eq(snat.turns[1], 250 % 3);
	for (unsigned i = 0; i < 6; i++)
		next[i] = take(1, 0, &port);
	free(mem);
	begin(rules, 0);
	snat_recall(&snat, 1, 3, last); /* there is no such address */
	ck_assert_uint_eq(snat.turns[1], 0);
	snat_recall(&snat, 1, 250 % 3, last);
	for (unsigned i = 0; i < 6; i++) {
		require_eq(take(1, 0, &port), next[i]);
		require_eq(port.address, (250 + i) % 3);
	}
	end();
}
END_TEST

START_TEST(located_as_taken)
{
	begin(three_addresses(), 3);
	for (unsigned i = 0; i < 200; i++) {
		unsigned server = random_below(2), service = random_below(FIXTURE_SERVICES);
		struct snat_port port, found;

		take(server, service, &port);
		require(snat_locate(&snat, server, service, rules->farms[0].snat[port.address],
		                    port.port, &found));
		require_eq(found.pool, port.pool);
		require_eq(found.address, port.address);
		require(be16_eq(found.port, port.port));
		if (i % 2)
			snat_give_back(&snat, 0, found);
	}
	struct snat_port port;
	ck_assert(!snat_locate(&snat, 0, 0, ip4(10, 0, 0, 77), be16_from(5000), &port));
	end();
}
END_TEST

Suite *snat_suite(void)
{
	const TTest *const tests[] = {
	        the_fullest_pool,
	        each_port_once_then_none,
	        order_goes_around,
	        ends_of_the_range,
	        several_ranges,
	        turns_when_nearly_full,
	        random_use_is_the_naive_set,
	        addresses_evenly,
	        addresses_evenly_per_server,
	        goes_on_as_recalled,
	        located_as_taken,
	        NULL,
	};

	return suite_of("snat", tests);
}
