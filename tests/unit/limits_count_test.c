/*
 * client_connections: what is counted, and what is done with those beyond.
 */
#include "limits_fixture.h"
#include "suites.h"

/* ---- client_connections ---- */

/* Client 1 opens the three that each may have. */
static void open_all(struct talk talks[3])
{
	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 3; i++)
		talks[i] = open_one(1, (uint16_t)(1 + i));
}

START_TEST(connections_are_counted)
{
	struct talk talks[3];

	open_all(talks);
	ck_assert_uint_eq(knock(1, 10), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(2, 10), WHY_FLOW_NEW);
	talk_close(&talks[0], CLIENT);
	talks[0] = open_one(1, 11);
	ck_assert_uint_eq(knock(1, 12), WHY_CLIENT_CONNECTIONS);
	talk_send(&talks[1], SERVER, RST, 0);
	open_one(1, 13);
	ck_assert_uint_eq(knock(1, 14), WHY_CLIENT_CONNECTIONS);
	engine_stop(&engine);
}
END_TEST

/* SYNs alone count for nothing: what opens beyond the limit is reset then, at both ends. */
START_TEST(what_opens_beyond_is_reset)
{
	const uint8_t syn_ack = 0x12;
	struct talk talks[5];

	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(
		        talk_syn(&talks[i], &engine, fixture_client(1), (uint16_t)(1 + i), PORT)
		                .why,
		        WHY_FLOW_NEW);
		talk_send(&talks[i], SERVER, syn_ack, 0);
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(talk_send(&talks[i], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 0);
	ck_assert_uint_eq(talk_send(&talks[3], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 1);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_LIMIT], 1);
	engine.nowns = 0;
	engine_poll(&engine);
	engine_wait_ms(&engine, 10);
	ck_assert_uint_ge(engine.nowns, 2);
	ck_assert_uint_eq(talk_send(&talks[3], CLIENT, ACK, 5).why, WHY_NO_FLOW);
	ck_assert_uint_eq(talk_send(&talks[2], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	talk_close(&talks[0], SERVER);
	ck_assert_uint_eq(talk_send(&talks[4], CLIENT, ACK, 5).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(counts()->over, 1);
	engine_stop(&engine);
}
END_TEST

/* One client can't have all SNAT ports: beyond its limit the others' connections are safe. */
START_TEST(one_client_leaves_snat_ports_to_others)
{
	unsigned got = 0;

	begin();
	fixture_set_snat_ports(farm(), 2000, 2009); /* for each of two servers */
	farm()->client_connections = 5;
	go();
	for (unsigned i = 0; i < 200; i++)
		if (knock(1, (uint16_t)(1 + i)) == WHY_FLOW_NEW)
			got++;
	ck_assert_uint_ge(got, 20);
	for (unsigned c = 2; c < 17; c++)
		open_one(c, 1);
	for (unsigned i = 0; i < 5; i++)
		open_one(1, (uint16_t)(1000 + i));
	ck_assert_uint_eq(knock(1, 2000), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(99, 1), WHY_SNAT_EXHAUSTED);
	engine_stop(&engine);
}
END_TEST

/* A reload takes along what is open, however farms are numbered; and counts what wasn't counted. */
START_TEST(reload_counts_anew)
{
	begin();
	farm()->client_connections = 3;
	go();
	for (unsigned i = 0; i < 3; i++)
		open_one(1, (uint16_t)(1 + i));
	begin();
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 10), WHY_FLOW_NEW);
	begin();
	farm()->client_connections = 3;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 11), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(knock(2, 11), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* As often as it may be, and only what is open. */
START_TEST(reloads_count_once)
{
	struct talk talks[3];

	open_all(talks);
	knock(2, 1); /* half-open */
	for (unsigned i = 0; i < 3; i++) {
		begin();
		farm()->client_connections = 3;
		engine_reload(&engine, rules);
	}
	ck_assert_uint_eq(knock(1, 10), WHY_CLIENT_CONNECTIONS);
	talk_close(&talks[0], CLIENT);
	open_one(1, 11);
	ck_assert_uint_eq(knock(1, 12), WHY_CLIENT_CONNECTIONS);
	for (unsigned i = 0; i < 3; i++)
		open_one(2, (uint16_t)(2 + i));
	ck_assert_uint_eq(knock(2, 12), WHY_CLIENT_CONNECTIONS);
	ck_assert_uint_eq(counts()->over, 0);
	engine_stop(&engine);
}
END_TEST

/* What was reset and goes on after all counts again. */
START_TEST(what_revives_is_counted)
{
	struct talk talk;

	begin();
	farm()->client_connections = 1;
	go();
	talk = open_one(1, 1);
	talk_send(&talk, CLIENT, RST | ACK, 0);
	talk_send(&talk, CLIENT, ACK, 10);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.revived, 1);
	ck_assert_uint_eq(knock(1, 2), WHY_CLIENT_CONNECTIONS);
	talk_close(&talk, CLIENT);
	open_one(1, 3);
	engine_stop(&engine);
}
END_TEST

/* Clients of a farm that is nobody's any more are forgotten with it. */
START_TEST(clients_go_with_their_farm)
{
	const be32 vip = ip4(10, 0, 5, 40);

	begin();
	farm()->client_rate = 10;
	go();
	knock(1, 1);
	ck_assert_uint_eq(counts()->clients, 1);
	for (unsigned i = 0; i < 2; i++) {
		begin();
		farm()->vip = vip;
		fixture_set_snat(farm(), &vip, 1);
		engine_reload(&engine, rules);
		engine_wait_ms(&engine, 200000);
	}
	ck_assert_uint_eq(counts()->clients, 0);
	engine_stop(&engine);
}
END_TEST

/* Who is blocked is so though all servers are others, and the farm has another name and number. */
START_TEST(a_block_outlives_its_servers)
{
	begin();
	farm()->client_rate = 10;
	farm()->block_for_ms = 3600000;
	go();
	for (unsigned i = 0; i < 10; i++) {
		struct talk talk = open_one(1, (uint16_t)(1 + i));

		talk_close(&talk, CLIENT);
	}
	ck_assert_uint_eq(knock(1, 100), WHY_CLIENT_RATE);
	engine_wait_ms(&engine, 130 * 1000);
	rules = fixture_two_farms();
	rules->farms[0].vip = rules->farms[1].vip;
	rules->farms[1].vip = fixture_vip();
	for (unsigned f = 0; f < 2; f++)
		fixture_set_snat(&rules->farms[f], &rules->farms[f].vip, 1);
	strcpy(rules->farms[1].name, "other");
	fixture_set_ports(&rules->farms[1], PORT, PORT);
	for (unsigned s = 0; s < rules->nservers; s++)
		rules->servers[s].address = fixture_server(100 + s);
	rules->farms[1].client_rate = 10;
	rules->farms[1].block_for_ms = 3600000;
	engine_reload(&engine, rules);
	ck_assert_uint_eq(knock(1, 101), WHY_CLIENT_BLOCKED);
	ck_assert_uint_eq(knock(2, 101), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* Two farms of a VIP; or one with the ports of both. */
static struct rules *farms_of_a_vip(unsigned n, bool blocks)
{
	struct rules *ret = n == 2 ? fixture_two_farms() : fixture_rules(2);

	for (unsigned f = 0; f < n; f++) {
		ret->farms[f].vip = fixture_vip();
		fixture_set_snat(&ret->farms[f], &ret->farms[f].vip, 1);
		fixture_set_ports(&ret->farms[f], (uint16_t)(PORT + f),
		                  (uint16_t)(PORT + 2 - n + f));
		ret->farms[f].on_limit = ON_LIMIT_RESET;
		ret->farms[f].client_rate = 10;
		ret->farms[f].block_for_ms = blocks ? 60000 : 0;
	}
	return ret;
}

/* A client knocks once at one port; at the other he asks for, and perhaps opens, all that he may,
 * and asks once more. */
static void exhaust(unsigned client, uint16_t little, uint16_t much, bool opens)
{
	struct talk one;

	talk_syn(&one, &engine, fixture_client(client), 1, little);
	for (uint16_t i = 0; i < 10; i++)
		if (opens)
			talk_open(&one, &engine, fixture_client(client), (uint16_t)(10 + i), much);
		else
			talk_syn(&one, &engine, fixture_client(client), (uint16_t)(10 + i), much);
	ck_assert_uint_eq(talk_syn(&one, &engine, fixture_client(client), 30, much).why,
	                  WHY_CLIENT_RATE);
}

/* Who is at his limit in one of two farms that become one is so there, whichever it was. */
START_TEST(farms_that_become_one_keep_the_worst)
{
	for (unsigned blocks = 0; blocks < 2; blocks++) {
		engine_start(&engine, farms_of_a_vip(2, blocks));
		for (unsigned c = 0; c < 4; c++)
			exhaust(c, (uint16_t)(PORT + c % 2), (uint16_t)(PORT + 1 - c % 2), c < 2);
		ck_assert_uint_eq(counts()->clients, 8);
		engine_reload(&engine, farms_of_a_vip(1, blocks));
		ck_assert_uint_eq(counts()->clients, 4);
		for (unsigned c = 0; c < 4; c++)
			ck_assert_uint_eq(knock(c, 40),
			                  blocks && c < 2 ? WHY_CLIENT_BLOCKED : WHY_CLIENT_RATE);
		engine_stop(&engine);
	}
}
END_TEST

/* Of IPv6 a /64 is a client. */
START_TEST(an_ipv6_network_is_one_client)
{
	struct ip6 first = fixture_ip6(fixture_client(1)), same = first, other = first;
	struct limits_asker asker, its;

	begin();
	fixture_make_ipv6(rules);
	farm()->client_rate = 1;
	same.b[15] ^= 1;
	other.b[7] ^= 1;
	asker = limits_asker(rules, 0, &first);
	its = limits_asker(rules, 0, &same);
	ck_assert_uint_eq(asker.key, its.key);
	its = limits_asker(rules, 0, &other);
	ck_assert_uint_ne(asker.key, its.key);
	go();
	engine_stop(&engine);
}
END_TEST

Suite *limits_count_suite(void)
{
	const TTest *const tests[] = {
	        connections_are_counted,
	        what_opens_beyond_is_reset,
	        one_client_leaves_snat_ports_to_others,
	        reload_counts_anew,
	        reloads_count_once,
	        what_revives_is_counted,
	        clients_go_with_their_farm,
	        a_block_outlives_its_servers,
	        farms_that_become_one_keep_the_worst,
	        an_ipv6_network_is_one_client,
	        NULL,
	};

	return suite_of("limits_count", tests);
}
