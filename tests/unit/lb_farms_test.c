/*
 * What a farm says of its flows: that clients stick to their servers, that there is no SNAT, and
 * that it is one of several.
 */
#include "lb_fixture.h"

/* --- flows that end --- */

START_TEST(client_sticks_to_its_server)
{
	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	for (unsigned c = 0; c < 10; c++) {
		unsigned server;

		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		server = talk.server;
		for (uint16_t i = 1; i < 6; i++) {
			talk_open(&talk, &engine, fixture_client(c), (uint16_t)(40000 + i), 443);
			ck_assert_uint_eq(talk.server, server);
		}
	}
	engine_stop(&engine);
}
END_TEST

/* Where the client is sure to stick: SERVER_NONE if nowhere. */
static unsigned stuck_to(unsigned client)
{
	const struct balance *balance = lb_balance(engine.lb);
	uint32_t tick = (uint32_t)((engine.now.ns - balance->epoch.ns) / FLOW_NS_PER_TICK);
	uint16_t server;

	return persist_find(&balance->persist,
	                    persist_key(&engine.rules->farms[0], fixture_client(client)), true,
	                    tick, &server)
	               ? server
	               : SERVER_NONE;
}

/* What he asks for at once goes together; what comes to nothing binds him no longer than that. */
START_TEST(client_sticks_before_it_is_open)
{
	struct talk first, second;

	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	talk_syn(&first, &engine, fixture_client(1), 40000, 443);
	for (uint16_t i = 1; i < 6; i++) {
		talk_syn(&second, &engine, fixture_client(1), (uint16_t)(40000 + i), 443);
		ck_assert_uint_eq(second.server, first.server);
	}
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_wait_ms(&engine, 35 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 6);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	talk_open(&second, &engine, fixture_client(1), 40006, 443);
	ck_assert_uint_eq(second.server, 1 - first.server);
	ck_assert_uint_eq(stuck_to(1), second.server);
	engine_stop(&engine);
}
END_TEST

/* And no longer than `persist` is, if that is shorter. */
START_TEST(hope_ends_with_persist)
{
	struct talk first, second;

	begin();
	engine.rules->farms[0].persist_ms = 5 * S;
	talk_syn(&first, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 4 * S);
	talk_syn(&second, &engine, fixture_client(1), 40001, 443);
	ck_assert_uint_eq(second.server, first.server);
	engine_wait_ms(&engine, 2 * S);
	talk_syn(&second, &engine, fixture_client(1), 40002, 443);
	ck_assert_uint_eq(second.server, 1 - first.server);
	engine_stop(&engine);
}
END_TEST

/* SYNs in their names, while their server is full, and of many others move nobody. */
START_TEST(made_up_syns_move_nobody)
{
	enum { CLIENTS = 10, FLOOD = 6000 };
	unsigned servers[CLIENTS];

	begin();
	engine.rules->farms[0].persist_ms = 600 * S;
	for (unsigned c = 0; c < CLIENTS; c++) {
		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		servers[c] = talk.server;
		talk_close(&talk, CLIENT);
	}
	for (unsigned s = 0; s < 2; s++) {
		engine.rules->servers[s].max_connections = 1;
		for (unsigned c = 0; c < CLIENTS; c++)
			for (uint16_t i = 0; i < 3; i++)
				talk_syn(&talk, &engine, fixture_client(c),
				         (uint16_t)(42000 + 3 * s + i), 443);
		engine.rules->servers[s].max_connections = 0;
	}
	for (unsigned i = 0; i < FLOOD; i++)
		talk_syn(&talk, &engine, fixture_client(CLIENTS + i), 40000, 443);
	for (unsigned c = 0; c < CLIENTS; c++) {
		ck_assert_uint_eq(stuck_to(c), servers[c]);
		talk_open(&talk, &engine, fixture_client(c), 50000, 443);
		ck_assert_uint_eq(talk.server, servers[c]);
	}
	engine_stop(&engine);
}
END_TEST

/* The end of an idle connection is no use of it. */
START_TEST(idle_client_sticks_no_longer)
{
	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	engine.rules->farms[0].idle_timeout_ms = 90 * S;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 58 * S);
	ck_assert_uint_eq(stuck_to(1), talk.server);
	engine_wait_ms(&engine, 4 * S);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_wait_ms(&engine, 32 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 1);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_stop(&engine);
}
END_TEST

/* Nor does the end of one that came to nothing take the client back from where it is now. */
START_TEST(half_open_flow_unsticks_nobody)
{
	struct talk now;

	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	engine.rules->servers[talk.server].weight = 0;
	talk_open(&now, &engine, fixture_client(1), 40001, 443);
	engine.rules->servers[talk.server].weight = 1;
	ck_assert_uint_ne(now.server, talk.server);
	engine_wait_ms(&engine, 32 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 1);
	ck_assert_uint_eq(stuck_to(1), now.server);
	engine_stop(&engine);
}
END_TEST

static void set_weight(unsigned server, uint8_t weight)
{
	engine.rules->servers[server].weight = weight;
	engine_rules_changed(&engine);
}

/* Nor does an older one that goes on, or ends: he stays where he was last, once he is there. */
START_TEST(older_flow_unsticks_nobody)
{
	struct talk now;

	begin();
	engine.rules->farms[0].persist_ms = 20 * S;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	set_weight(talk.server, 0);
	talk_open(&now, &engine, fixture_client(1), 40001, 443);
	ck_assert_uint_ne(now.server, talk.server);
	set_weight(talk.server, 1);
	for (unsigned i = 0; i < 15; i++) {
		engine_wait_ms(&engine, S);
		talk_send(&talk, CLIENT, ACK, 10);
	}
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(stuck_to(1), now.server);
	engine_stop(&engine);
}
END_TEST

/* And a SYN in his name, when he is nowhere, doesn't keep him from where his connection is. */
START_TEST(hope_keeps_nobody_away)
{
	struct talk other;

	begin();
	engine.rules->farms[0].persist_ms = 20 * S;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 25 * S);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	talk_syn(&other, &engine, fixture_client(1), 40001, 443);
	ck_assert_uint_ne(other.server, talk.server);
	talk_send(&talk, CLIENT, ACK, 10);
	engine_wait_ms(&engine, 15 * S);
	ck_assert_uint_eq(stuck_to(1), talk.server);
	engine_stop(&engine);
}
END_TEST

/* Who is on a server that gets no more connections may go on there, but sticks to it no longer. */
START_TEST(nobody_sticks_to_a_server_that_is_drained)
{
	begin();
	engine.rules->farms[0].persist_ms = 20 * S;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	set_weight(talk.server, 0);
	for (unsigned i = 0; i < 30; i++) {
		engine_wait_ms(&engine, S);
		ck_assert_uint_eq(talk_send(&talk, CLIENT, ACK, 10).why, WHY_FLOW_HIT);
	}
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_stop(&engine);
}
END_TEST

/* Nobody sticks without `persist`, though a program's clock be a tick ahead of the engine's. */
START_TEST(nobody_sticks_without_persist)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	flow_set_last(flows_at(&lb_balance(engine.lb)->flows, 0),
	              flow_last(flows_at(&lb_balance(engine.lb)->flows, 0)) + 1);
	talk_send(&talk, SERVER, RST | ACK, 0);
	ck_assert_uint_eq(lb_balance(engine.lb)->flows.quarantine.length, 1);
	ck_assert(!lb_balance(engine.lb)->persist.any);
	engine_stop(&engine);
}
END_TEST

/* To which server the client's next connection goes, from another port. */
static unsigned next_server(struct talk *t, uint16_t port)
{
	ck_assert_uint_eq(talk_syn(t, &engine, fixture_client(1), port, 5061).why, WHY_FLOW_NEW);
	return t->server;
}

/* While a connection is used its client sticks; later than that it goes where there is least. */
START_TEST(client_sticks_while_its_flow_is_used)
{
	struct rules *rules = fixture_rules(2);
	struct talk other;

	rules->farms[0].persist_ms = 10 * S;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 20; i++) {
		engine_wait_ms(&engine, 4 * S);
		talk_send(&talk, CLIENT, ACK, 10);
	}
	ck_assert_uint_eq(next_server(&other, 40001), talk.server);
	talk_send(&other, SERVER, RST | ACK, 0);
	engine_wait_ms(&engine, 25 * S);
	ck_assert_uint_eq(next_server(&other, 40002), 1 - talk.server);
	engine_stop(&engine);
}
END_TEST

START_TEST(without_snat_only_the_destination_changes)
{
	struct rules *rules = fixture_rules(1);
	struct spec spec = client_spec(SYN);
	struct verdict v;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	check_forwarded(spec.from, spec.sport, fixture_server(0), 5061);
	spec = (struct spec){.dst = FIXTURE_CLIENT_MAC,
	                     .src = mac_of(0x41),
	                     .side = INSIDE,
	                     .from = fixture_server(0),
	                     .to = spec.from,
	                     .sport = 5061,
	                     .dport = spec.sport,
	                     .flags = SYN | ACK};
	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	check_forwarded(fixture_vip(), 5061, spec.to, spec.dport);
	/* its other connections are the wire's */
	spec.dport++;
	frames_tcp(&built, &spec);
	check_bridged();
	spec = client_spec(SYN);
	spec.to = fixture_server(0);
	spec.dst = mac_of(0x41);
	frames_tcp(&built, &spec);
	check_bridged();
	engine_stop(&engine);
}
END_TEST

/* What isn't addressed to us crosses, whatever is wrong with it. */
/* A client's port may be open to a server by way of another VIP: then he gets another server. */
START_TEST(without_snat_a_port_is_open_once)
{
	struct rules *rules = fixture_two_farms();
	struct spec spec = client_spec(SYN);
	be32 address[3];

	for (unsigned f = 0; f < 2; f++)
		fixture_set_snat(&rules->farms[f], NULL, 0);
	for (unsigned s = 0; s < 2; s++)
		rules->servers[2 + s].address = rules->servers[s].address;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 3; i++) {
		spec.to = i ? rules->farms[1].vip : rules->farms[0].vip;
		spec.sport = (uint16_t)(40000 + i / 2);
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(input().why, WHY_FLOW_NEW);
		memcpy(&address[i], built.frame.data + built.l3 + 16, sizeof(address[i]));
	}
	ck_assert(!be32_eq(address[0], address[1]));
	engine_stop(&engine);
}
END_TEST

START_TEST(without_snat_the_wire_stays_a_wire)
{
	struct rules *rules = fixture_rules(1);
	struct spec spec = {.dst = FIXTURE_CLIENT_MAC,
	                    .src = mac_of(0x41),
	                    .side = INSIDE,
	                    .from = fixture_server(0),
	                    .to = fixture_client(1),
	                    .sport = 5061,
	                    .dport = 40000,
	                    .payload = 200,
	                    .flags = ACK};
	struct built whole;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	frames_tcp(&built, &spec);
	built.frame.data[built.l3] = 0x44; /* a header of 16 bytes */
	check_bridged();
	frames_tcp(&built, &spec);
	built.frame.data[built.l4 + 12] = 0x40; /* the same of TCP */
	check_bridged();
	frames_tcp(&whole, &spec);
	frames_fragment(&built, &whole, 0, 104); /* the first of no flow's packet, and its next */
	check_bridged();
	frames_fragment(&built, &whole, 104, 104);
	check_bridged();
	frames_fragment(&built, &whole, 8, 104); /* overlaps */
	check_bridged();
	engine_stop(&engine);
}
END_TEST

START_TEST(each_farm_its_own)
{
	engine_start(&engine, fixture_two_farms());
	for (unsigned i = 0; i < 20; i++) {
		struct spec spec = spec_syn(fixture_client(1), (uint16_t)(40000 + i), 443);
		struct verdict v;

		spec.to = ip4(10, 0, i % 2, 40);
		frames_tcp(&built, &spec);
		v = input();
		ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
		ck_assert_uint_eq(v.way.server / 2, i % 2);
		ck_assert_mem_eq(built.frame.data + built.l3 + 12, &spec.to, 4);
	}
	/* one without a server doesn't stop the other */
	engine.rules->servers[0].state = engine.rules->servers[1].state = STATE_DRAIN;
	engine_rules_changed(&engine);
	check_rst(WHY_NO_SERVER, client_spec(SYN));
	struct spec spec = client_spec(SYN);
	spec.to = ip4(10, 0, 1, 40);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(input().why, WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* A client who has been idle for too long goes on, and meanwhile somebody has asked in his name: it
 * is to where he is connected that he sticks. */
START_TEST(a_hope_is_nothing_beside_a_flow_that_is_used)
{
	struct talk first, second;

	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	talk_open(&first, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 70 * S);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine.rules->servers[first.server].max_connections = 1;
	talk_syn(&second, &engine, fixture_client(1), 40001, 443);
	ck_assert_uint_eq(second.server, 1 - first.server);
	talk_send(&first, CLIENT, ACK, 10);
	talk_close(&first, CLIENT);
	ck_assert_uint_eq(stuck_to(1), first.server);
	engine_stop(&engine);
}
END_TEST

Suite *lb_farms_suite(void)
{
	const TTest *const tests[] = {
	        client_sticks_to_its_server,
	        client_sticks_before_it_is_open,
	        hope_ends_with_persist,
	        made_up_syns_move_nobody,
	        idle_client_sticks_no_longer,
	        half_open_flow_unsticks_nobody,
	        older_flow_unsticks_nobody,
	        hope_keeps_nobody_away,
	        a_hope_is_nothing_beside_a_flow_that_is_used,
	        nobody_sticks_to_a_server_that_is_drained,
	        nobody_sticks_without_persist,
	        client_sticks_while_its_flow_is_used,
	        without_snat_only_the_destination_changes,
	        without_snat_a_port_is_open_once,
	        without_snat_the_wire_stays_a_wire,
	        each_farm_its_own,
	        NULL,
	};

	return suite_of("lb_farms", tests);
}
