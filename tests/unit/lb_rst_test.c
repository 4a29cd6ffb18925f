/*
 * What is answered with a RST, and how often at most.
 */
#include "lb_fixture.h"
#include "random.h"

/* --- RSTs --- */

START_TEST(rst_if_there_is_no_flow)
{
	const uint8_t flags[] = {ACK, FIN | ACK, SYN | ACK, FIN, 0, 0x28, SYN | FIN};

	begin();
	for (unsigned i = 0; i < 28; i++) {
		struct spec spec = client_spec(flags[i % 7]);

		spec.seq = i % 2 ? 0xffffffff : 77;
		spec.ack = 0xabcdef01;
		spec.payload = i / 7 % 2 ? 33 : 0;
		spec.side = i / 14 ? INSIDE : OUTSIDE;
		spec.ntags = i / 7 % 3;
		spec.tpid[0] = spec.tpid[1] = 0x8100;
		check_rst(WHY_NO_FLOW, spec);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_is_never_answered)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		struct spec spec = client_spec(i ? RST : RST | ACK);

		frames_tcp(&built, &spec);
		check_why(WHY_RST_NO_FLOW);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_the_port_is_not_served)
{
	struct rules *rules = fixture_rules(2);
	const be32 addresses[] = {ip4(10, 0, 0, 50)};
	struct spec spec = client_spec(SYN);

	fixture_set_snat(&rules->farms[0], addresses, 1);
	engine_start(&engine, rules);
	spec.dport = 80;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	spec.dport = 0;
	spec.payload = 7;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	spec.dport = 65535;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	/* a SNAT address serves nothing */
	spec.to = addresses[0];
	spec.dport = 443;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_there_is_no_server)
{
	begin();
	engine.rules->servers[0].state = STATE_DRAIN;
	engine.rules->servers[1].weight = 0;
	check_rst(WHY_NO_SERVER, client_spec(SYN));
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 1);
	engine_stop(&engine);
}
END_TEST

START_TEST(drain_keeps_what_there_is)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	engine.rules->servers[0].state = STATE_DRAIN;
	engine.rules->servers[1].state = STATE_DRAIN;
	check_hit(CLIENT, talk_spec(&talk, CLIENT, ACK, 10));
	check_hit(SERVER, talk_spec(&talk, SERVER, ACK, 10));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_servers_are_full)
{
	begin();
	engine.rules->servers[0].max_connections = engine.rules->servers[1].max_connections = 1;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_open(&talk, &engine, fixture_client(2), 40000, 443);
	check_rst(WHY_SERVERS_FULL, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_snat_is_exhausted)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 41000, 5061);
	talk_open(&talk, &engine, fixture_client(2), 41000, 5061);
	check_rst(WHY_SNAT_EXHAUSTED, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_the_table_is_full)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 2;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(2), 41000, 5061);
	talk_open(&talk, &engine, fixture_client(3), 41000, 5061);
	check_rst(WHY_TABLE_FULL, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

/* Half of the table at most is half-open; the oldest makes room. */
START_TEST(flood_of_syns_leaves_the_rest_alone)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 20;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 1000; i++) {
		struct talk flood;

		ck_assert_uint_eq(talk_syn(&flood, &engine, fixture_client(100 + i), 1, 5061).why,
		                  WHY_FLOW_NEW);
		ck_assert_uint_le(balance_open_flows(lb_balance(engine.lb)), 11);
	}
	check_hit(CLIENT, talk_spec(&talk, CLIENT, ACK, 10));
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_EVICTED], 990);
	engine_stop(&engine);
}
END_TEST

static unsigned rsts_of(unsigned n, enum lb_why why, struct spec spec)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < n; i++) {
		struct verdict v;

		frames_tcp(&built, &spec);
		v = engine_input(&engine, &built);
		ck_assert(v.why == why || v.why == WHY_RST_LIMITED);
		answered += v.act == LB_ANSWER;
	}
	return answered;
}

/* From another network of the same size each time. */
static unsigned rsts_of_many(unsigned n, enum lb_why why, struct spec spec)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < n; i++) {
		spec.from = ip4(20, (uint8_t)(i >> 8), (uint8_t)i, 1);
		answered += rsts_of(1, why, spec);
	}
	return answered;
}

/* What a single network gets: some of what those get who ask seldom, and half of the rest. */
START_TEST(rsts_are_limited)
{
	begin();
	ck_assert_uint_eq(rsts_of(1400, WHY_NO_FLOW, client_spec(ACK)), 16 + 500);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(rsts_of(500, WHY_NO_FLOW, client_spec(ACK)), 50);
	engine_wait_ms(&engine, 3600 * S);
	ck_assert_uint_eq(rsts_of(1500, WHY_NO_FLOW, client_spec(ACK)), 16 + 500);
	engine_stop(&engine);
}
END_TEST

/* Whoever asks for it: a thousand at once and a thousand a second of either sort. */
START_TEST(rsts_are_limited_in_all)
{
	begin();
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 2000);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 200);
	engine_stop(&engine);
}
END_TEST

/* One kind doesn't take from another. */
START_TEST(rsts_are_limited_by_kind)
{
	struct spec not_served = client_spec(SYN), refused = client_spec(SYN);

	begin();
	for (unsigned s = 0; s < engine.rules->nservers; s++)
		engine.rules->servers[s].weight = 0;
	engine_rules_changed(&engine);
	not_served.dport = 81;
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 2000);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_PORT_NOT_SERVED, not_served), 2000);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_SERVER, refused), 2000);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 2500);
	engine_stop(&engine);
}
END_TEST

/* Who asks now and then gets his, though others, from 256 networks, ask for all that they can get:
 * but for the first seconds, when these are strangers as well. */
START_TEST(rsts_are_left_for_others)
{
	struct spec flood = client_spec(SYN), honest = client_spec(SYN);

	begin();
	flood.dport = honest.dport = 81;
	honest.from = ip4(30, 1, 1, 1);
	for (unsigned ms = 0; ms < 20 * S; ms += 10) {
		for (unsigned i = 0; i < 30; i++) {
			flood.from = ip4(10, 1, (uint8_t)random_below(256), 1);
			rsts_of(1, WHY_PORT_NOT_SERVED, flood);
		}
		if (ms >= 10 * S && ms % 600 == 0)
			ck_assert_uint_eq(rsts_of(1, WHY_PORT_NOT_SERVED, honest), 1);
		engine.now.ns += 10 * LB_NS_PER_MS;
	}
	engine_stop(&engine);
}
END_TEST

Suite *lb_rst_suite(void)
{
	const TTest *const tests[] = {
	        rst_if_there_is_no_flow,
	        rst_is_never_answered,
	        rst_if_the_port_is_not_served,
	        rst_if_there_is_no_server,
	        drain_keeps_what_there_is,
	        rst_if_servers_are_full,
	        rst_if_snat_is_exhausted,
	        rst_if_the_table_is_full,
	        flood_of_syns_leaves_the_rest_alone,
	        rsts_are_limited,
	        rsts_are_limited_in_all,
	        rsts_are_limited_by_kind,
	        rsts_are_left_for_others,
	        NULL,
	};

	return suite_of("lb_rst", tests);
}
