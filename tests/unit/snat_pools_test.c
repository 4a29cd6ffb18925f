/*
 * Pools of SNAT ports: which farms share one, and what one begins with.
 */
#include "snat_fixture.h"
#include "random.h"

#include <stdlib.h>

/* A VIP that is another farm's SNAT address keeps its service ports from that farm too. */
START_TEST(service_ports_of_another_farm_s_vip)
{
	struct rules *from = fixture_two_farms();
	struct snat_port port;
	unsigned n = 0;

	fixture_set_snat(&from->farms[0], &from->farms[1].vip, 1);
	fixture_set_ports(&from->farms[1], 3000, 3009);
	fixture_set_snat_ports(&from->farms[0], 3005, 3014);
	begin(from, 0);
	for (; snat_take(&snat, 0, 0, 0, &port); n++)
		ck_assert_uint_ge(be16_get(port.port), 3010);
	require_eq(n, 5);
	end();
}
END_TEST

/*
 * Above RULES_POOLED_PORTS_MAX service ports share one pool, so that no tuple is handed out twice.
 */
START_TEST(many_services_share_a_pool)
{
	struct rules *from = fixture_rules(2);
	struct snat_port a, b;

	fixture_set_ports(&from->farms[0], 50000, 50000 + RULES_POOLED_PORTS_MAX);
	fixture_set_snat_ports(&from->farms[0], 2000, 2001);
	begin(from, 0);
	take(1, 0, &a);
	take(1, RULES_POOLED_PORTS_MAX, &b);
	require(!be16_eq(a.port, b.port));
	require(!snat_take(&snat, 0, 1, 5, &a));
	take(0, 5, &a);
	end();
}
END_TEST

/* ---- Pools that farms share ---- */

/* Two farms of one SNAT address and server, with 443, 444, 5060 and 5061 each. */
static struct rules *of_one_server(void)
{
	const be32 shared = ip4(10, 0, 0, 50);
	struct rules *from = fixture_farms(2, 1);

	from->servers[1].address = from->servers[0].address;
	for (unsigned f = 0; f < 2; f++) {
		fixture_set_snat(&from->farms[f], &shared, 1);
		fixture_set_snat_ports(&from->farms[f], 2000, 2001);
	}
	return from;
}

static bool take_of(unsigned farm, unsigned service)
{
	struct snat_port port;

	return snat_take(&snat, farm, farm, service, &port);
}

START_TEST(farms_share_what_goes_to_the_same_place)
{
	static const uint16_t to[] = {80, 444, 80, 9};
	struct rules *from = of_one_server();
	struct rules_farm *farm = &from->farms[1];

	farm->server_ports = calloc(4, sizeof(*farm->server_ports));
	for (unsigned i = 0; i < 4; i++)
		farm->server_ports[i] = be16_from(to[i]);
	begin(from, 0);
	/* 444 of both; 443 of the first one, which goes elsewhere than the second one's; 5060 and
	   443 of the second one */
	ck_assert(take_of(0, 1) && take_of(1, 1) && !take_of(0, 1) && !take_of(1, 1));
	ck_assert(take_of(0, 0) && take_of(0, 0) && !take_of(0, 0));
	ck_assert(take_of(1, 2) && take_of(1, 0) && !take_of(1, 2) && !take_of(1, 0));
	ck_assert_uint_eq(snat.in_use[snat.farms[0].address], 3);
	ck_assert_uint_eq(snat.in_use[snat.farms[1].address], 3);
	end();
}
END_TEST

/* One pool for all ports of the server: nobody has another one there. */
START_TEST(who_shares_with_a_farm_of_many_ports_has_its_pool)
{
	for (unsigned wide = 0; wide < 2; wide++) {
		struct rules *from = of_one_server();

		fixture_set_ports(&from->farms[wide], 5061, 5061 + RULES_POOLED_PORTS_MAX);
		begin(from, 0);
		ck_assert(take_of(!wide, 3) && take_of(wide, 0) && !take_of(!wide, 3));
		ck_assert(!take_of(!wide, 0) && !take_of(wide, 7));
		end();
	}
}
END_TEST

START_TEST(farms_with_other_snat_ports_have_other_pools)
{
	struct rules *from = of_one_server();

	fixture_set_snat_ports(&from->farms[1], 2002, 2003);
	begin(from, 0);
	for (unsigned f = 0; f < 2; f++)
		ck_assert(take_of(f, 1) && take_of(f, 1) && !take_of(f, 1));
	end();
}
END_TEST

/* ---- What a pool begins with ---- */

static bool naive_allows(const struct rules_farm *farm, const struct share *share, unsigned p)
{
	bool in_range = false;

	for (unsigned r = 0; r < farm->nsnat_ports; r++)
		in_range |= p >= farm->snat_ports[r].first && p <= farm->snat_ports[r].last;
	return in_range && p % share->n == share->worker &&
	       (p < RULES_PROBE_PORT || p >= RULES_PROBE_PORT + RULES_PROBE_PORTS) &&
	       rules_service(farm, be16_from((uint16_t)p)) < 0;
}

START_TEST(a_worker_s_ports_of_any_ranges)
{
	for (unsigned i = 0; i < 40; i++) {
		const struct hash_key key = {{1, 2}};
		const unsigned n = i < 3 ? 64 : 1 + random_below(64);
		const struct share share = share_make(random_below(n), n, false, &key);
		struct rules *from = fixture_rules(1);
		struct rules_farm *farm = &from->farms[0];
		struct arena measure = {0}, arena = {0};
		unsigned at = random_below(100);

		free(farm->snat_ports);
		farm->snat_ports = calloc(8, sizeof(*farm->snat_ports));
		for (farm->nsnat_ports = 0; farm->nsnat_ports < 8; farm->nsnat_ports++) {
			struct port_range *range = &farm->snat_ports[farm->nsnat_ports];

			range->first = (uint16_t)(at + 1 + random_below(3000));
			range->last =
			        (uint16_t)(range->first + random_below(random_below(2) ? 3 : 5000));
			at = range->last + 1u;
		}
		if (i % 3 == 0)
			farm->snat_ports[7].last = 65535;
		snat_lay_out(&snat, &measure, from, &share, &key);
		arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
		snat_lay_out(&snat, &arena, from, &share, &key);
		for (unsigned p = 0; p < PORTS; p++) {
			const struct snat_port port = {snat.pool_of[0], 0, be16_from((uint16_t)p)};

			require_eq(snat_is_free(&snat, port), naive_allows(farm, &share, p));
			require_eq(snat_allows(&snat, 0, port), naive_allows(farm, &share, p));
		}
		free(arena.base);
		rules_free(from);
	}
}
END_TEST

START_TEST(probe_ports_are_not_handed_out)
{
	struct rules *from = fixture_rules(1);
	struct snat_port port;

	fixture_set_snat_ports(&from->farms[0], RULES_PROBE_PORT - 1,
	                       RULES_PROBE_PORT + RULES_PROBE_PORTS);
	begin(from, 0);
	take(0, 0, &port);
	take(0, 0, &port);
	ck_assert(!snat_take(&snat, 0, 0, 0, &port));
	end();
}
END_TEST

/* A flow that lives through a reload keeps its port from others. */
START_TEST(kept_port_is_taken)
{
	struct rules *from = fixture_rules(1);
	struct snat_port port;

	fixture_set_snat_ports(&from->farms[0], 6000, 6001);
	begin(from, 0);
	require(snat_locate(&snat, 0, 0, fixture_vip(), be16_from(6001), &port));
	snat_keep(&snat, 0, port);
	ck_assert_uint_eq(snat.in_use[snat.farms[0].address], 1);
	ck_assert_uint_eq(take(0, 0, &port), 6000);
	ck_assert(!snat_take(&snat, 0, 0, 0, &port));
	end();
}
END_TEST

/* Also if it would have been handed out next. */
START_TEST(kept_port_is_taken_though_next)
{
	struct rules *from = fixture_rules(1);
	struct snat_port port;
	uint16_t last;

	fixture_set_snat_ports(&from->farms[0], 6000, 6001);
	begin(from, 0);
	last = take(0, 0, &port);
	snat_give_back(&snat, 0, port);
	port.port = be16_from(last == 6000 ? 6001 : 6000);
	snat_keep(&snat, 0, port);
	ck_assert_uint_eq(take(0, 0, &port), last);
	ck_assert(!snat_take(&snat, 0, 0, 0, &port));
	end();
}
END_TEST

/* The new rules may have made it a service port, or have fewer ports; it isn't theirs to give. */
START_TEST(kept_port_outside_the_rules_is_never_handed_out)
{
	const uint16_t held[] = {5061, 7000, RULES_PROBE_PORT};

	for (unsigned i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		struct rules *from = fixture_rules(1);
		struct snat_port port;

		fixture_set_snat_ports(&from->farms[0], 5060, 5062);
		begin(from, 0);
		require(snat_locate(&snat, 0, 0, fixture_vip(), be16_from(held[i]), &port));
		snat_keep(&snat, 0, port);
		snat_give_back(&snat, 0, port);
		ck_assert_uint_eq(take(0, 0, &port), 5062);
		ck_assert(!snat_take(&snat, 0, 0, 0, &port));
		end();
	}
}
END_TEST

START_TEST(key_moves_the_beginning)
{
	struct snat_port port;
	uint16_t first;

	begin(fixture_rules(1), 1);
	first = take(0, 0, &port);
	end();
	begin(fixture_rules(1), 2);
	ck_assert_uint_ne(take(0, 0, &port), first);
	end();
	begin(fixture_rules(1), 1);
	require_eq(take(0, 0, &port), first);
	end();
}
END_TEST

Suite *snat_pools_suite(void)
{
	const TTest *const tests[] = {
	        service_ports_of_another_farm_s_vip,
	        many_services_share_a_pool,
	        farms_share_what_goes_to_the_same_place,
	        who_shares_with_a_farm_of_many_ports_has_its_pool,
	        farms_with_other_snat_ports_have_other_pools,
	        a_worker_s_ports_of_any_ranges,
	        probe_ports_are_not_handed_out,
	        kept_port_is_taken,
	        kept_port_is_taken_though_next,
	        kept_port_outside_the_rules_is_never_handed_out,
	        key_moves_the_beginning,
	        NULL,
	};

	return suite_of("snat_pools", tests);
}
