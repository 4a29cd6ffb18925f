/*
 * The fast path's table of addresses, beside the engine's own.
 */
#include "suites.h"

#include "random.h"
#include "../../bridge/fastpath/known.h"

#include <errno.h>
#include <stdlib.h>

enum { FARMS = 200, SNATS = 40 };

static be32 random_ip(void)
{
	return be32_from(0x0a000000u | random_below(1 << 24));
}

static void make_rules(struct rules *rules, unsigned nfarms, bool ipv6)
{
	*rules = (struct rules){.farms = calloc(nfarms, sizeof(*rules->farms)),
	                        .servers = calloc(nfarms, sizeof(*rules->servers)),
	                        .nfarms = nfarms,
	                        .nservers = nfarms};
	for (unsigned f = 0; f < nfarms; f++) {
		struct rules_farm *farm = &rules->farms[f];

		farm->snat = calloc(SNATS, sizeof(*farm->snat));
		farm->nsnat = random_below(SNATS + 1);
		farm->server = f;
		farm->nservers = 1;
		rules->servers[f].farm = f;
		rules->servers[f].address = random_ip();
		farm->vip = random_ip();
		farm->vlan = (uint16_t)random_below(4);
		for (unsigned i = 0; i < farm->nsnat; i++)
			farm->snat[i] = random_ip();
		if (ipv6) {
			struct ip6 ip = {{0x20, 1, [14] = (uint8_t)(f >> 8), [15] = (uint8_t)f}};

			ck_assert_int_eq(rules_name(rules, &ip, &farm->vip), 0);
		}
	}
}

static void free_rules(struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		free(rules->farms[f].snat);
	free(rules->farms);
	free(rules->servers);
	free(rules->names);
}

/* The engine's own table, to compare with. */
static void *lay_out(struct addresses *addresses, const struct rules *rules)
{
	struct arena arena = {0};

	addresses_lay_out(addresses, &arena, rules);
	arena.base = aligned_alloc(ARENA_ALIGN, arena.used);
	arena.used = 0;
	addresses_lay_out(addresses, &arena, rules);
	return arena.base;
}

static void compare(const struct fastpath_conf *conf, const struct fastpath_address *places,
                    const struct rules *rules)
{
	struct addresses addresses;
	void *memory = lay_out(&addresses, rules);

	for (unsigned i = 0; i < 100000; i++) {
		be32 ip = i < rules->nfarms ? rules->farms[i].vip : random_ip();
		struct fastpath_key key = fastpath_key4(ip);

		if (!name_is_ipv6(ip))
			require_eq(known_kinds(conf, places, &key, (uint16_t)(i & 3)),
			           addresses_find(&addresses, ip, (uint16_t)(i & 3))->kinds);
	}
	for (uint32_t i = 0; i < rules->nnames; i++) {
		struct fastpath_key key = fastpath_key6(&rules->names[i]);

		require_eq(known_kinds(conf, places, &key, 7),
		           addresses_find_name(&addresses, name_of(i), 7)->kinds);
		key.ipv6 = 0;
		require_eq(known_kinds(conf, places, &key, 7), 0);
	}
	free(memory);
}

/* Goes over to other rules; before that those in use are what counts. */
static void go_over(struct fastpath_conf *conf, struct fastpath_address *places,
                    const struct rules *from, const struct rules *to)
{
	ck_assert_int_eq(known_prepare(conf, places, to), 0);
	if (from)
		compare(conf, places, from);
	known_use(conf);
	compare(conf, places, to);
}

static void find_all(bool ipv6)
{
	struct fastpath_conf conf = {0};
	struct fastpath_address *places;
	struct rules rules, few;

	make_rules(&rules, FARMS, ipv6);
	make_rules(&few, 1, !ipv6);
	conf.table_places = known_places(&rules);
	places = calloc(2 * conf.table_places, sizeof(*places));
	go_over(&conf, places, NULL, &rules);
	go_over(&conf, places, &rules, &few); /* a reload, and back */
	go_over(&conf, places, &few, &rules);
	free(places);
	free_rules(&rules);
	free_rules(&few);
}

START_TEST(finds_what_the_engine_does)
{
	find_all(false);
}
END_TEST

START_TEST(finds_what_the_engine_does_with_ip6)
{
	find_all(true);
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
	struct fastpath_conf conf = {0};
	struct fastpath_address *places;
	struct rules rules, few;

	make_rules(&rules, FARMS, false);
	make_rules(&few, 1, false);
	conf.table_places = 1024;
	places = calloc(2 * conf.table_places, sizeof(*places));
	go_over(&conf, places, NULL, &few);
	ck_assert_int_eq(known_prepare(&conf, places, &rules), -E2BIG);
	compare(&conf, places, &few);
	free(places);
	free_rules(&rules);
	free_rules(&few);
}
END_TEST

Suite *known_suite(void)
{
	const TTest *const tests[] = {finds_what_the_engine_does,
	                              finds_what_the_engine_does_with_ip6,
	                              refuses_what_does_not_fit, NULL};

	return suite_of("known", tests);
}
