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

/* ---- A port that goes from farm to farm by way of none ---- */

/* Last bytes of SNAT addresses, 0: without. */
static const struct handed_on {
	const char *what;
	uint8_t first[3]; /* the first farm's: before, when the port is the other's, later */
	uint8_t other;
	bool is_gone;   /* the first farm, when the port is the other's */
	uint8_t server; /* an address of a server then, or 0 */
	bool goes_on;
} handed_on[] = {
        {"nothing else", {38, 38, 38}, 39, false, 0, true},
        {"its address is another one", {38, 37, 37}, 39, false, 0, true},
        {"its address is another one later", {38, 38, 37}, 39, false, 0, true},
        {"its address is the other's", {38, 39, 39}, 39, false, 0, true},
        {"both have the address", {38, 38, 37}, 38, false, 0, true},
        {"it has none any more", {38, 0, 0}, 39, false, 0, true},
        {"it has none any more later", {38, 38, 0}, 39, false, 0, true},
        {"it is gone", {38, 38, 38}, 39, true, 0, false},
        {"it is gone, and its address is the other's", {39, 39, 39}, 39, true, 0, true},
        {"its address is a server's", {38, 37, 37}, 39, false, 38, false},
        {"the other has none", {38, 37, 37}, 0, false, 0, true},
        {"it had none, and goes on so", {0, 0, 0}, 39, false, 0, true},
        {"it had none, and has one", {0, 37, 37}, 39, false, 0, true},
        {"it had none, and has one later", {0, 0, 37}, 39, false, 0, true},
        {"it had none, and is gone", {0, 0, 0}, 39, true, 0, false},
};

static void set_ports(struct rules_farm *farm, uint16_t first, uint16_t second)
{
	fixture_set_ports(farm, 1, second ? 2 : 1);
	farm->ports[0] = be16_from(first);
	if (second)
		farm->ports[1] = be16_from(second);
}

/* 443 is the first farm's, then nobody's, then the other's, and stays so. */
static struct rules *rules_at(const struct handed_on *how, unsigned step, bool v6)
{
	const bool alone = step >= 2 && how->is_gone;
	const uint8_t first = how->first[step < 2 ? 0 : step < 4 ? 1 : 2];
	struct rules *rules = fixture_farms(alone ? 1 : 2, 2);
	const be32 snat[] = {address(first), address(how->other)};

	for (unsigned f = 0; f < rules->nfarms; f++) {
		const bool is_other = alone || f;

		rules->farms[f].vip = address(40);
		strcpy(rules->farms[f].name, is_other ? "other" : "first");
		fixture_set_snat(&rules->farms[f], &snat[is_other],
		                 (is_other ? how->other : first) != 0);
		for (unsigned s = 0; s < 2; s++)
			rules->servers[2 * f + s].address = ip4(10, 0, 0, (uint8_t)(50 + s));
		if (!is_other)
			set_ports(&rules->farms[f], 80, step ? 0 : 443);
		else
			set_ports(&rules->farms[f], step < 2 ? 5060 : 443, step < 2 ? 0 : 5060);
	}
	if (step >= 2 && how->server) {
		rules->servers[rules->nservers - 1].address = address(how->server);
		rules->servers[1].address = address(how->server);
	}
	if (v6)
		fixture_make_ipv6(rules);
	return rules;
}

static unsigned resets_to_servers(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < engine.nowns; i++)
		n += engine.owns[i].kind == OWN_TCP && engine.owns[i].server != SERVER_NONE;
	return n;
}

/* Each goes on as it was, over all that follow, or both of its ends hear of it at once. */
static void check_handed_on(const struct handed_on *how, bool v6)
{
	enum { STEPS = 7, HANDED_ON = 2 };
	static struct conn conns[CONNS];

	engine_start(&engine, rules_at(how, 0, v6));
	for (unsigned i = 0; i < CONNS; i++)
		open_at(&conns[i], v6, 0, i, 40000);
	for (unsigned step = 1; step < STEPS; step++) {
		engine_reload(&engine, rules_at(how, step, v6));
		engine.nowns = 0;
		engine_poll(&engine);
		if (step >= HANDED_ON && !how->goes_on) {
			ck_assert_msg(ended()[ENDED_RELOAD] == CONNS, "%s", how->what);
			require_eq(resets_to_servers(), step == HANDED_ON ? CONNS : 0);
			require(engine.nowns >= (step == HANDED_ON ? 2 * CONNS : 0));
			continue;
		}
		ck_assert_msg(!ended()[ENDED_RELOAD], "%s, step %u", how->what, step);
		for (unsigned i = 0; i < CONNS; i++)
			check_goes_on(&conns[i]);
	}
	engine_stop(&engine);
}

START_TEST(a_port_goes_from_farm_to_farm_by_way_of_none)
{
	for (unsigned i = 0; i < sizeof(handed_on) / sizeof(*handed_on); i++)
		for (unsigned v6 = 0; v6 < 2; v6++)
			check_handed_on(&handed_on[i], v6);
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
	        a_port_goes_from_farm_to_farm_by_way_of_none,
	        NULL,
	};

	return suite_of("kept_ports", tests);
}
