/*
 * SNAT ports of connections: whose they are, and when none is left.
 */
#include "balance_fixture.h"

/* With n SNAT ports for each server and service. */
static void begin_with_ports(uint16_t n)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_snat_ports(&rules->farms[0], 6000, (uint16_t)(6000 + n - 1));
	engine_start(&engine, rules);
}

/* Whatever the scheduler prefers: a server without ports is passed over as one that is full. */
START_TEST(server_without_ports_is_passed_over)
{
	enum { PORTS = 10 };

	for (unsigned i = 0; i < RULES_NSCHEDULERS; i++) {
		struct rules *rules = fixture_rules(2);

		rules->farms[0].scheduler = (enum rules_scheduler)i;
		rules->farms[0].persist_ms = i % 2 ? 60 * S : 0;
		rules->servers[0].weight = 10;
		fixture_set_snat_ports(&rules->farms[0], 2000, 2000 + PORTS - 1);
		engine_start(&engine, rules);
		for (unsigned c = 0; c < 2 * PORTS; c++)
			talk_open(&talk, &engine, fixture_client(c % 3), (uint16_t)(40000 + c),
			          443);
		for (unsigned s = 0; s < 2; s++)
			ck_assert_uint_eq(balance()->farms->sched.servers[s].connections, PORTS);
		ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(1), 50000, 443).why,
		                  WHY_SNAT_EXHAUSTED);
		ck_assert_uint_gt(balance()->counts.passed_over, 0);
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

/* Of each pool the port that has rested for longest, whatever rests in others. */
START_TEST(resting_ports_are_those_of_the_pool)
{
	enum { PORTS = 300 };
	struct talk talks[2 * PORTS];
	struct rules *rules = fixture_rules(1);

	fixture_set_snat_ports(&rules->farms[0], 2000, 2000 + PORTS - 1);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 2 * PORTS; i++) {
		talk_open(&talks[i], &engine, fixture_client(i), 40000, i < PORTS ? 443 : 444);
		talk_close(&talks[i], i < PORTS ? SERVER : CLIENT);
	}
	for (unsigned i = 0; i < PORTS; i++) {
		talk_open(&talk, &engine, fixture_client(i), 50000, i % 2 ? 443 : 444);
		ck_assert_uint_eq(talk.snat_port, talks[i % 2 ? i / 2 : PORTS + i / 2].snat_port);
	}
	ck_assert_uint_eq(balance()->counts.quarantine_cut, PORTS);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* However many half-open flows of other services are older. */
START_TEST(half_open_ports_are_those_of_the_pool)
{
	enum { OTHERS = 600, PORTS = 700 };
	struct rules *rules = fixture_rules(1);
	struct talk first, half;

	rules->max_half_open = 10000;
	fixture_set_snat_ports(&rules->farms[0], 2000, 2000 + PORTS - 1);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < OTHERS; i++)
		talk_syn(&half, &engine, fixture_client(i), 40000, 443);
	talk_syn(&first, &engine, fixture_client(5000), 40000, 444);
	for (unsigned i = 1; i < 3 * PORTS; i++)
		ck_assert_uint_eq(
		        talk_syn(&half, &engine, fixture_client(5000 + i), 40000, 444).why,
		        WHY_FLOW_NEW);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 2 * PORTS);
	ck_assert_uint_eq(talk_send(&half, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* The server sees the port that the client uses, if nobody else's rests or lives there. */
START_TEST(own_port_is_preferred)
{
	struct talk other, again;

	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_eq(talk.snat_port, 40000);
	talk_open(&other, &engine, fixture_client(2), 40000, 443);
	ck_assert_uint_eq(other.snat_port, 40000); /* at the other server */
	talk_open(&again, &engine, fixture_client(3), 40000, 443);
	ck_assert_uint_ne(again.snat_port, 40000);
	ck_assert_uint_eq(balance()->counts.own_port, 2);
	talk_open(&again, &engine, fixture_client(4), 5060, 443); /* a service port of the VIP */
	ck_assert_uint_ne(again.snat_port, 5060);
	talk_open(&again, &engine, fixture_client(5), 1000, 443); /* below snat_ports */
	ck_assert_uint_ge(again.snat_port, 1024);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Also who gets it because it is the only one counts. */
START_TEST(own_port_may_be_his_by_chance)
{
	struct rules *rules = fixture_rules(1);

	fixture_set_snat_ports(&rules->farms[0], 2000, 2000);
	engine_start(&engine, rules);
	for (unsigned i = 1; i <= 3; i++) {
		talk_open(&talk, &engine, fixture_client(i), 2000, 443);
		ck_assert_uint_eq(talk.snat_port, 2000);
		ck_assert_uint_eq(balance()->counts.own_port, i);
		talk_close(&talk, SERVER);
	}
	check_books();
	engine_stop(&engine);
}
END_TEST

/* It is his again at whatever server, but nobody else's while it rests. */
START_TEST(own_port_is_his_while_it_rests)
{
	struct spec syn = spec_syn(fixture_client(1), 40000, 443);
	struct talk his;

	begin();
	for (unsigned i = 0; i < 10; i++) {
		syn.seq += 1000000; /* so that a TIME_WAIT takes it */
		ck_assert_uint_eq(talk_syn_from(&his, &engine, &syn).why, WHY_FLOW_NEW);
		talk_send(&his, SERVER, SYN | ACK, 0);
		talk_send(&his, CLIENT, ACK, 0);
		ck_assert_uint_eq(his.snat_port, 40000);
		ck_assert_uint_eq(his.server, i % 2);
		talk_close(&his, SERVER);
		check_books();
	}
	ck_assert_uint_eq(quarantined(), 2);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 0);
	/* not if the server would take it for something old */
	syn.seq -= 5000000;
	ck_assert_uint_eq(talk_syn_from(&his, &engine, &syn).why, WHY_FLOW_NEW);
	ck_assert_uint_ne(his.snat_port, 40000);
	for (unsigned i = 0; i < 2; i++) {
		talk_open(&talk, &engine, fixture_client(2 + i), 40000, 443);
		ck_assert_uint_ne(talk.snat_port, 40000);
	}
	engine_stop(&engine);
}
END_TEST

/* Whose port another one's number is doesn't count for him, though he has one that rests. */
START_TEST(others_ports_are_not_his)
{
	struct rules *rules = fixture_rules(1);
	struct spec syn = spec_syn(fixture_client(2), 40000, 443);
	struct talk first, his;

	engine_start(&engine, rules);
	talk_open(&first, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_eq(first.snat_port, 40000);
	syn.seq += 5000000;
	ck_assert_uint_eq(talk_syn_from(&his, &engine, &syn).why, WHY_FLOW_NEW);
	talk_send(&his, SERVER, SYN | ACK, 0);
	talk_send(&his, CLIENT, ACK, 0);
	ck_assert_uint_ne(his.snat_port, 40000);
	talk_close(&first, SERVER);
	talk_close(&his, SERVER);
	/* a TIME_WAIT of the other one would take it, and one of his own wouldn't */
	syn.seq -= 4000000;
	ck_assert_uint_eq(talk_syn_from(&his, &engine, &syn).why, WHY_FLOW_NEW);
	ck_assert_uint_ne(his.snat_port, 40000);
	ck_assert_uint_eq(talk_send(&first, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Who has had another port, as his own was somebody's, has that one again. */
START_TEST(the_port_that_rests_serves_again)
{
	struct spec syn = spec_syn(fixture_client(2), 40000, 443);
	struct talk first, his, again;

	engine_start(&engine, fixture_rules(1));
	talk_open(&first, &engine, fixture_client(1), 40000, 443);
	talk_open(&his, &engine, fixture_client(2), 40000, 443);
	ck_assert_uint_ne(his.snat_port, 40000);
	talk_close(&his, SERVER);
	syn.seq += 1000000;
	ck_assert_uint_eq(talk_syn_from(&again, &engine, &syn).why, WHY_FLOW_NEW);
	ck_assert_uint_eq(again.snat_port, his.snat_port);
	ck_assert_uint_eq(quarantined(), 0);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A port that rests, or is half-open, may be of any of several addresses. */
START_TEST(ports_of_any_address_make_way)
{
	enum { ADDRESSES = 5 };
	struct talk talks[ADDRESSES];

	for (unsigned rests = 0; rests < 2; rests++)
		for (unsigned i = 0; i < ADDRESSES; i++) {
			struct rules *rules = fixture_rules(1);
			be32 addresses[ADDRESSES];

			for (unsigned a = 0; a < ADDRESSES; a++)
				addresses[a] = ip4(10, 0, 0, (uint8_t)(60 + a));
			fixture_set_snat(&rules->farms[0], addresses, ADDRESSES);
			fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
			engine_start(&engine, rules);
			for (unsigned a = 0; a < ADDRESSES; a++)
				if (a == i && !rests)
					talk_syn(&talks[a], &engine, fixture_client(a), 40000, 443);
				else
					talk_open(&talks[a], &engine, fixture_client(a), 40000,
					          443);
			if (rests)
				talk_close(&talks[i], SERVER);
			ck_assert_uint_eq(
			        talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
			        WHY_FLOW_NEW);
			ck_assert(be32_eq(talk.snat, talks[i].snat));
			check_books();
			engine_stop(&engine);
		}
}
END_TEST

START_TEST(no_snat_port_refuses)
{
	begin_with_ports(3);
	for (unsigned i = 0; i < 6; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
	                  WHY_SNAT_EXHAUSTED);
	ck_assert_uint_eq(balance()->counts.refused, 1);
	/* other services have ports of their own */
	talk_open(&talk, &engine, fixture_client(9), 40000, 444);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Nor does it cost anybody else his place. */
START_TEST(no_snat_port_in_a_full_table)
{
	struct rules *rules = fixture_rules(1);
	struct talk rests;

	rules->max_connections = 3;
	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&rests, &engine, fixture_client(1), 40000, 444);
	talk_close(&rests, SERVER);
	talk_open(&talk, &engine, fixture_client(2), 40000, 443);
	talk_open(&talk, &engine, fixture_client(3), 40000, 5060);
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(1), 40000, 443).why,
	                  WHY_SNAT_EXHAUSTED);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 0);
	ck_assert_uint_eq(talk_send(&rests, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(no_snat_port_cuts_quarantine)
{
	struct talk talks[2], more;

	begin_with_ports(1);
	for (unsigned i = 0; i < 2; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	talk_close(&talks[0], SERVER);
	talk_open(&more, &engine, fixture_client(9), 40000, 443);
	ck_assert_uint_eq(more.server, talks[0].server);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 1);
	ck_assert_uint_eq(more.snat_port, talks[0].snat_port);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(cut_in_a_shared_pool)
{
	struct rules *rules = fixture_rules(1);
	struct talk more;

	fixture_set_ports(&rules->farms[0], 7000, 7000 + RULES_POOLED_PORTS_MAX);
	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 7000);
	talk_close(&talk, SERVER);
	ck_assert_uint_eq(talk_syn(&more, &engine, fixture_client(2), 40000, 7001).why,
	                  WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* With `snat = off`, too, a client who uses his port again has his old flow: none makes room. */
START_TEST(without_snat_it_serves_again)
{
	struct spec syn = spec_syn(fixture_client(1), 40000, 443);
	struct rules *rules = fixture_rules(1);
	struct talk again;
	uint32_t flow;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	flow = talk_send(&talk, CLIENT, 0x10, 1).flow;
	talk_close(&talk, CLIENT);
	syn.seq = talk.next[CLIENT] + 1;
	ck_assert_uint_eq(talk_syn_from(&again, &engine, &syn).flow, flow);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 0);
	engine_stop(&engine);
}
END_TEST

Suite *balance_ports_suite(void)
{
	const TTest *const tests[] = {
	        server_without_ports_is_passed_over,
	        resting_ports_are_those_of_the_pool,
	        half_open_ports_are_those_of_the_pool,
	        own_port_is_preferred,
	        own_port_may_be_his_by_chance,
	        own_port_is_his_while_it_rests,
	        others_ports_are_not_his,
	        the_port_that_rests_serves_again,
	        without_snat_it_serves_again,
	        ports_of_any_address_make_way,
	        no_snat_port_refuses,
	        no_snat_port_in_a_full_table,
	        no_snat_port_cuts_quarantine,
	        cut_in_a_shared_pool,
	        NULL,
	};

	return suite_of("balance_ports", tests);
}
