/*
 * What a reload takes away and keeps all the same: how much of it at most, and what it rests for.
 */
#include "kept_fixture.h"

#include <stdlib.h>

/* Of more addresses than are kept some flows are reset, and none is left without a word. */
START_TEST(more_than_are_kept)
{
	static const struct file last = {.snat = {40}, .vip = 40};
	be32 snat[RULES_SNAT_MAX];
	struct rules *rules;
	struct conn c;

	for (unsigned left = 0; left < 2; left++) {
		engine_start(&engine, rules_of(&last, false));
		for (unsigned round = 0; round < 2; round++) {
			for (unsigned i = 0; i < RULES_SNAT_MAX; i++)
				snat[i] = ip4(10, 1, (uint8_t)round, (uint8_t)i);
			rules = rules_of(&last, false);
			fixture_set_snat(&rules->farms[0], snat, round ? 1 : RULES_SNAT_MAX - left);
			fixture_set_ports(&rules->farms[0], 443, 443);
			engine_reload(&engine, rules);
			/* the servers have their turns */
			for (unsigned i = 0; i < 2 * rules->farms[0].nsnat; i++)
				open_at(&c, false, 0, i, (uint16_t)(40000 + round));
		}
		require_eq(engine.rules->farms[0].nkept, RULES_SNAT_MAX - left);
		rules = rules_of(&last, false);
		fixture_set_ports(&rules->farms[0], 443, 443);
		engine_reload(&engine, rules);
		require_eq(rules->farms[0].nkept, RULES_SNAT_KEPT_MAX);
		engine_poll(&engine);
		require_eq(ended()[ENDED_RELOAD], left ? 0 : 2);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 2 * RULES_SNAT_KEPT_MAX);
		engine_stop(&engine);
	}
}
END_TEST

/* A client of IPv6 whom the rules don't know, and then do. */
START_TEST(client_becomes_a_server)
{
	static const struct file file = {.snat = {40}, .vip = 40}, off = {.vip = 40};

	for (unsigned i = 0; i < 2; i++) {
		struct rules *rules = rules_of(i ? &off : &file, true);
		const struct ip6 ip = fixture_ip6(fixture_client(1));
		struct conn c, other, again;

		engine_start(&engine, rules);
		open_at(&c, true, 0, 1, 40000);
		open_at(&other, true, 0, 2, 40000);
		rules = rules_of(i ? &off : &file, true);
		rules->servers[1].address = (be32){{0}};
		require(rules_name(rules, &ip, &rules->servers[1].address) == 0);
		engine_reload(&engine, rules);
		check_goes_on(&c);
		check_goes_on(&other);
		engine_reload(&engine, rules_of(i ? &off : &file, true)); /* and no longer is */
		check_goes_on(&c);
		open_at(&again, true, 0, 1, 40001);
		check_goes_on(&again);
		require_eq(balance_open_flows(lb_balance(engine.lb)), 3);
		engine_stop(&engine);
	}
}
END_TEST

/* A service of the VIP is new, and its number rests as the SNAT port of somebody who came before:
 * that one is of no use to the next, who gets another. */
START_TEST(what_rests_and_is_handed_out_no_more)
{
	static struct talk talks[3], more[2];
	struct rules *rules = fixture_rules(1);

	fixture_set_ports(&rules->farms[0], 443, 443);
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 3; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	for (unsigned i = 0; i < 3; i++) /* the oldest one that rests has the number */
		if (talks[i].snat_port == 6000)
			talk_close(&talks[i], SERVER);
	for (unsigned i = 0; i < 3; i++)
		if (talks[i].snat_port != 6000)
			talk_close(&talks[i], SERVER);
	rules = fixture_rules(1);
	rules->farms[0].ports[0] = be16_from(443);
	rules->farms[0].ports[1] = be16_from(6000);
	rules->farms[0].nports = 2;
	fixture_set_snat_ports(&rules->farms[0], 6000, 6002);
	engine_reload(&engine, rules);
	for (unsigned i = 0; i < 2; i++) {
		talk_open(&more[i], &engine, fixture_client(10 + i), 40000, 443);
		ck_assert_uint_ne(more[i].snat_port, 6000);
	}
	engine_stop(&engine);
}
END_TEST

/* Flows that are made while all are looked at for a shorter timeout make none be passed over. */
START_TEST(all_are_looked_at_while_others_come)
{
	static struct talk talks[50];
	struct talk new;
	struct rules *rules = fixture_rules(1);

	rules->farms[0].idle_timeout_ms = 1800 * S;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 50; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	engine_wait_ms(&engine, 20 * S + 300); /* somewhere in the table */
	rules = fixture_rules(1);
	rules->farms[0].idle_timeout_ms = 5 * S;
	engine_reload(&engine, rules);
	for (unsigned i = 0; i < 20; i++)
		talk_syn(&new, &engine, fixture_client(100 + i), 40000, 443);
	engine_wait_ms(&engine, 2 * S);
	ck_assert_uint_eq(ended()[ENDED_IDLE], 50);
	engine_stop(&engine);
}
END_TEST

/* Two farms of a VIP go to the same port of a server, of which one's service is then gone: whoever
 * gets a port doesn't get one of its flows', and isn't refused while one rests. */
START_TEST(ports_of_a_service_that_is_gone_are_somebody_s)
{
	static struct talk old[2], own[2], new;
	struct rules *rules[2];

	for (unsigned i = 0; i < 2; i++) {
		rules[i] = fixture_farms(2, 1);
		rules[i]->farms[1].vip = rules[i]->farms[0].vip;
		rules[i]->farms[1].snat[0] = rules[i]->farms[0].snat[0];
		rules[i]->servers[1].address = rules[i]->servers[0].address;
		fixture_set_ports(&rules[i]->farms[0], 443, 443);
		fixture_set_ports(&rules[i]->farms[1], 444, i ? 444 : 445);
		rules[i]->farms[1].server_ports = calloc(2, sizeof(be16));
		rules[i]->farms[1].server_ports[0] = be16_from(444);
		rules[i]->farms[1].server_ports[1] = be16_from(443);
		for (unsigned f = 0; f < 2; f++)
			fixture_set_snat_ports(&rules[i]->farms[f], 6000, 6003);
	}
	engine_start(&engine, rules[0]);
	for (unsigned i = 0; i < 2; i++) {
		require_eq(talk_syn(&old[i], &engine, fixture_client(i), 40000, 445).why,
		           WHY_FLOW_NEW);
		talk_open(&own[i], &engine, fixture_client(10 + i), 40000, 443);
		require_eq(talk_send(&old[i], SERVER, SYN_ACK, 0).why, WHY_FLOW_HIT);
		require_eq(talk_send(&old[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	}
	talk_close(&own[0], SERVER);
	engine_reload(&engine, rules[1]);
	talk_open(&new, &engine, fixture_client(20), 40000, 443);
	require_eq(new.snat_port, own[0].snat_port);
	require_eq(talk_syn(&new, &engine, fixture_client(21), 40000, 443).why, WHY_SNAT_EXHAUSTED);
	for (unsigned i = 0; i < 2; i++)
		require_eq(talk_send(&old[i], SERVER, ACK, 10).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

Suite *kept_ports_suite(void)
{
	const TTest *const tests[] = {
	        more_than_are_kept,
	        client_becomes_a_server,
	        what_rests_and_is_handed_out_no_more,
	        all_are_looked_at_while_others_come,
	        ports_of_a_service_that_is_gone_are_somebody_s,
	        NULL,
	};

	return suite_of("kept_ports", tests);
}
