/*
 * What has run out or has gone far when rules are replaced: memory, names, numbers, ports.
 */
#include "reload_fixture.h"
#include "memory.h"

#include <errno.h>
#include <stdlib.h>

/* New flows never get a tuple that an old one still has. */
START_TEST(ports_in_use_stay_in_use)
{
	static const uint8_t servers[] = {41, 42};
	static struct talk talks[MANY], more[MANY];

	for (unsigned round = 0; round < 2; round++) {
		struct rules *rules = rules_of(servers, 2);

		fixture_set_snat_ports(&rules->farms[0], 6000, 6000 + MANY - 1);
		engine_start(&engine, rules);
		for (unsigned i = 0; i < MANY; i++)
			talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
		rules = rules_of(servers, 2);
		fixture_set_snat_ports(&rules->farms[0], (uint16_t)(6000 + round * 20),
		                       6000 + MANY - 1);
		engine_reload(&engine, rules);
		for (unsigned i = 0; i < MANY; i++) {
			if (talk_syn(&more[i], &engine, fixture_client(100 + i), 40000, 443).why !=
			    WHY_FLOW_NEW)
				continue;
			for (unsigned k = 0; k < MANY; k++)
				require(more[i].server != talks[k].server ||
				        more[i].snat_port != talks[k].snat_port);
		}
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

/* Whichever allocation fails: it says so, and the old rules are as they were. */
START_TEST(memory_may_run_out)
{
	struct rules *old = fixture_two_farms();
	const bool referenced[4] = {true, true, true, true};
	uint16_t map[4];
	unsigned n = 0;
	int err;

	old->farms[0].connlog = strdup("-");
	fixture_make_ipv6(old);
	do {
		struct rules *rules = fixture_rules(1);
		bool failed;

		rules->farms[0].vip = ip4(10, 0, 9, 40);
		fixture_make_ipv6(rules);
		memory_fail_at(++n);
		err = takeover_rules(rules, old, referenced, NULL, map);
		failed = memory_has_failed();
		ck_assert_int_eq(err, failed ? -ENOMEM : 0);
		rules_free(rules);
	} while (err);
	ck_assert_uint_gt(n, 4);
	ck_assert_uint_eq(old->nfarms, 2);
	ck_assert_uint_eq(old->nservers, 4);
	rules_free(old);
	rules_free(NULL);
}
END_TEST

/* The farm has n servers, none of which is one of fixture_rules()'s. */
static void make_others(struct rules *rules, unsigned n)
{
	rules->servers = realloc(rules->servers, n * sizeof(*rules->servers));
	for (unsigned s = 0; s < n; s++) {
		rules->servers[s] = rules->servers[0];
		rules->servers[s].address = ip4(10, 1, (uint8_t)(s >> 8), (uint8_t)s);
	}
	rules->nservers = rules->farms[0].nservers = n;
}

/* Names of earlier rules stay: so they run out by and by. */
START_TEST(addresses_have_no_more_names)
{
	struct rules *old = fixture_rules(1), *rules = fixture_rules(1);
	struct ip6 ip = {{0xfd}};
	bool referenced[1] = {false};
	uint16_t map[1];
	be32 name;

	for (unsigned i = 0; i < RULES_NAMES_MAX; i++) {
		ip.b[14] = (uint8_t)(i >> 8);
		ip.b[15] = (uint8_t)i;
		ck_assert_int_eq(rules_name(old, &ip, &name), 0);
	}
	ip.b[1] = 1;
	ck_assert_int_eq(rules_name(rules, &ip, &rules->servers[0].address), 0);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), -EOVERFLOW);
	rules_free(rules);
	rules_free(old);
}
END_TEST

/* Servers that are gone count as well: they have numbers. */
START_TEST(servers_have_no_more_numbers)
{
	struct rules *rules = fixture_rules(1), *old = fixture_rules(2);
	const bool referenced[2] = {true, true};
	uint16_t map[2];

	make_others(rules, RULES_SERVERS_KEPT_MAX - 1);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), -E2BIG);
	make_others(rules, RULES_SERVERS_KEPT_MAX - 2);
	ck_assert_int_eq(takeover_rules(rules, old, referenced, NULL, map), 0);
	ck_assert_uint_eq(map[1], RULES_SERVERS_KEPT_MAX - 1);
	rules_free(rules);
	rules_free(old);
}
END_TEST

/* All servers that a file can have are others than before: their numbers, and those of the gone. */
START_TEST(goes_on_with_the_greatest_number)
{
	struct rules *rules = fixture_rules(1);

	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	rules = fixture_rules(1);
	make_others(rules, RULES_SERVERS_MAX);
	engine_reload(&engine, rules);
	ck_assert_uint_eq(flows_at(&balance()->flows, 0)->server, RULES_SERVERS_MAX);
	check_goes_on(&talk, fixture_server(0));
	ck_assert_uint_eq(balance()->farms->sched.servers[RULES_SERVERS_MAX].connections, 1);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->farms->sched.servers[RULES_SERVERS_MAX].connections, 0);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].connections, 0);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 0);
	engine_stop(&engine);
}
END_TEST

/* Two services with a pool each, then one pool for all: a port that one flow gives back is
 * another's still. */
START_TEST(port_given_back_is_still_another_s)
{
	struct rules *rules = fixture_rules(1);
	struct talk other, t[3];

	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_open(&other, &engine, fixture_client(2), 40000, 444);
	rules = fixture_rules(1);
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	fixture_set_ports(&rules->farms[0], 400, 400 + RULES_POOLED_PORTS_MAX);
	engine_reload(&engine, rules);
	talk_close(&talk, SERVER);
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	for (unsigned i = 0; i < 2; i++) {
		talk_open(&t[i], &engine, fixture_client(10 + i), 40000, 444);
		ck_assert_uint_ne(t[i].snat_port, 6000);
	}
	ck_assert_uint_eq(talk_syn(&t[2], &engine, fixture_client(12), 40000, 444).why,
	                  WHY_SNAT_EXHAUSTED);
	check_goes_on(&other, fixture_server(0));
	/* one that has ended gives it up */
	talk_close(&other, SERVER);
	ck_assert_uint_eq(balance_quarantined(balance()), 1);
	talk_open(&t[2], &engine, fixture_client(12), 40000, 444);
	ck_assert_uint_eq(t[2].snat_port, 6000);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	check_goes_on(&t[2], fixture_server(0));
	ck_assert_uint_eq(balance()->farms->snat.in_use[0], 3);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A client uses its port again: the server sees it where the rules of today say. */
START_TEST(reopened_only_as_the_rules_say)
{
	const be32 before = ip4(10, 0, 0, 60), after = ip4(10, 0, 0, 61);

	for (unsigned i = 0; i < 4; i++) {
		struct rules *rules = fixture_rules(1);
		struct spec syn = spec_syn(fixture_client(1), 40000, 443);
		struct talk again;

		fixture_set_snat(&rules->farms[0], &before, 1);
		engine_start(&engine, rules);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		talk_close(&talk, CLIENT);
		ck_assert_uint_eq(balance_quarantined(balance()), 1);
		rules = fixture_rules(1);
		fixture_set_snat(&rules->farms[0], i == 1 ? &after : &before, i != 2);
		if (i == 3)
			fixture_set_snat_ports(&rules->farms[0],
			                       (uint16_t)(talk.snat_port ^ 0x4000),
			                       (uint16_t)(talk.snat_port ^ 0x4000));
		engine_reload(&engine, rules);
		syn.seq = talk.next[CLIENT] + 1;
		talk_syn_from(&again, &engine, &syn);
		talk_send(&again, SERVER, 0x12, 0);
		talk_send(&again, CLIENT, 0x10, 0);
		ck_assert(be32_eq(again.snat, i == 1 ? after : i == 2 ? again.client : before));
		if (i == 2)
			ck_assert_uint_eq(again.snat_port, 40000);
		else if (i != 1)
			ck_assert((again.snat_port == talk.snat_port) == (i == 0));
		check_goes_on(&again, fixture_server(0));
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

/* Names are those of the rules before: whatever has one is renamed, a gateway as well. */
START_TEST(a_gateway_is_renamed)
{
	struct rules *old = fixture_rules(4), *rules = fixture_rules(1);
	const struct ip6 gateway = fixture_ip6(ip4(10, 0, 0, 1));
	const bool referenced[4] = {false}, used[2] = {false};
	uint16_t map[4];

	fixture_make_ipv6(old);
	fixture_make_ipv6(rules);
	require(rules_name(rules, &gateway, &rules->gateway6) == 0);
	require(takeover_rules(rules, old, referenced, used, map) == 0);
	require(ip6_eq(rules_ip6(rules, rules->gateway6), &gateway));
	require_eq(rules->nnames, old->nnames + 1);
	rules_free(rules);
	rules_free(old);
}
END_TEST

static struct rules *farms_with_addresses(unsigned n)
{
	struct rules *rules = fixture_two_farms();

	for (unsigned f = 0; f < 2; f++) {
		const be32 addresses[] = {rules->farms[f].vip, ip4(10, 0, (uint8_t)f, 30),
		                          ip4(10, 0, (uint8_t)f, 31)};

		fixture_set_snat(&rules->farms[f], addresses, n);
	}
	return rules;
}

/* Of each farm those addresses stay that flows have, and no others; and it is told if more are used
 * since. */
START_TEST(what_is_used_stays)
{
	enum { OF_FARM = 4 /* three addresses, and without SNAT */ };

	for (unsigned at = 0; at < 2 * OF_FARM; at++) {
		struct rules *old = farms_with_addresses(3), *rules = farms_with_addresses(1);
		bool used[2 * OF_FARM] = {false}, now[2 * OF_FARM] = {false};
		const bool referenced[4] = {false};
		uint16_t map[4];

		used[at] = true;
		require(takeover_rules(rules, old, referenced, used, map) == 0);
		for (unsigned f = 0; f < 2; f++) {
			const struct rules_farm *farm = &rules->farms[f];
			const bool stays =
			        at / OF_FARM == f && (at % OF_FARM == 1 || at % OF_FARM == 2);

			require_eq(farm->nkept, stays);
			require(!stays || be32_eq(farm->snat[1], old->farms[f].snat[at % OF_FARM]));
			require(!farm->keeps_off);
		}
		for (unsigned then = 0; then < 2 * OF_FARM; then++) {
			const bool is_kept = then % OF_FARM == 1 || then % OF_FARM == 2;

			memset(now, 0, sizeof(now));
			now[then] = true;
			require_eq(takeover_misses(rules, old, used, now), is_kept && then != at);
		}
		rules_free(rules);
		rules_free(old);
	}
}
END_TEST

Suite *reload_numbers_suite(void)
{
	const TTest *const tests[] = {
	        ports_in_use_stay_in_use,
	        memory_may_run_out,
	        servers_have_no_more_numbers,
	        addresses_have_no_more_names,
	        goes_on_with_the_greatest_number,
	        port_given_back_is_still_another_s,
	        reopened_only_as_the_rules_say,
	        a_gateway_is_renamed,
	        what_is_used_stays,
	        NULL,
	};

	return suite_of("reload_numbers", tests);
}
