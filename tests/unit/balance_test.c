/*
 * The life of connections: how long each state lasts, and what is given back.
 */
#include "balance_fixture.h"
#include "random.h"

static uint64_t closed(void)
{
	return balance()->counts.ended[ENDED_FIN] + balance()->counts.ended[ENDED_RST];
}

/*
 * That a live flow ends s seconds from now: a little before it is there, a few seconds later not.
 */
static void check_ends_in(uint64_t s)
{
	engine_wait_ms(&engine, (s - 1) * S);
	ck_assert_uint_eq(open_flows(), 1);
	engine_wait_ms(&engine, 4 * S);
	ck_assert_uint_eq(open_flows(), 0);
	ck_assert_uint_eq(quarantined(), 1);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], 1);
	check_books();
}

static void check_quarantine(uint64_t s)
{
	ck_assert_uint_eq(open_flows(), 0);
	ck_assert_uint_eq(quarantined(), 1);
	check_books();
	engine_wait_ms(&engine, (s - 1) * S);
	ck_assert_uint_eq(quarantined(), 1);
	engine_wait_ms(&engine, 4 * S);
	ck_assert_uint_eq(quarantined(), 0);
	ck_assert(!lb_is_busy(engine.lb));
	check_books();
}

START_TEST(half_open_ends)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	check_ends_in(30);
	engine_stop(&engine);
}
END_TEST

START_TEST(half_open_with_an_answer_ends)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	check_ends_in(30);
	engine_stop(&engine);
}
END_TEST

START_TEST(idle_ends)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	check_ends_in(30 * 60);
	engine_stop(&engine);
}
END_TEST

START_TEST(each_packet_keeps_it)
{
	struct rules *rules = fixture_rules(2);

	rules->farms[0].idle_timeout_ms = 60 * S;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	for (unsigned i = 0; i < 20; i++) {
		engine_wait_ms(&engine, 58 * S);
		ck_assert_uint_eq(talk_send(&talk, i % 2 ? CLIENT : SERVER, ACK, 10).why,
		                  WHY_FLOW_HIT);
		ck_assert_uint_eq(open_flows(), 1);
	}
	check_ends_in(60);
	engine_stop(&engine);
}
END_TEST

START_TEST(closing_ends)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, FIN | ACK, 0);
	talk_send(&talk, SERVER, FIN | ACK, 0);
	ck_assert_uint_eq(open_flows(), 1);
	check_ends_in(60);
	engine_stop(&engine);
}
END_TEST

/* When it is closed it is looked at sooner than it was to be. */
START_TEST(closing_ends_after_long)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 40 * 1000);
	talk_send(&talk, CLIENT, FIN | ACK, 0);
	talk_send(&talk, SERVER, FIN | ACK, 0);
	check_ends_in(60);
	engine_stop(&engine);
}
END_TEST

START_TEST(half_closed_stays_as_long_as_open)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, FIN | ACK, 0);
	talk_send(&talk, SERVER, ACK, 0);
	check_ends_in(30 * 60);
	engine_stop(&engine);
}
END_TEST

START_TEST(quarantine_if_the_server_closed_first)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, SERVER);
	ck_assert_uint_eq(closed(), 1);
	check_quarantine(BALANCE_QUARANTINE_S);
	engine_stop(&engine);
}
END_TEST

START_TEST(quarantine_if_the_client_closed_first)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, CLIENT);
	check_quarantine(BALANCE_QUARANTINE_SHORT_S);
	engine_stop(&engine);
}
END_TEST

START_TEST(quarantine_after_a_rst)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_eq(talk_send(&talk, CLIENT, RST | ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(closed(), 1);
	check_quarantine(BALANCE_QUARANTINE_SHORT_S);
	engine_stop(&engine);
}
END_TEST

START_TEST(quarantine_after_a_refusal)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	talk.next[SERVER] = 0;
	talk_send(&talk, SERVER, RST | ACK, 0);
	check_quarantine(BALANCE_QUARANTINE_SHORT_S);
	engine_stop(&engine);
}
END_TEST

START_TEST(fin_before_the_handshake_stays_half_open)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, FIN | ACK, 0);
	check_ends_in(30);
	engine_stop(&engine);
}
END_TEST

START_TEST(fin_that_completes_the_handshake_opens)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk_send(&talk, CLIENT, FIN | ACK, 100);
	check_ends_in(30 * 60);
	engine_stop(&engine);
}
END_TEST

/* Late packets still find their way, but can't hold the port. */
START_TEST(quarantine_ends_though_packets_come)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, CLIENT);
	for (unsigned i = 0; i < 60; i++) {
		engine_wait_ms(&engine, 5 * S);
		talk_send(&talk, SERVER, ACK, 0);
	}
	ck_assert_uint_eq(quarantined(), 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(late_packets_find_their_way)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, CLIENT);
	talk.next[SERVER]--;
	ck_assert_uint_eq(talk_send(&talk, SERVER, FIN | ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&talk, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(closed(), 1);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A stranger's RST ends nothing. */
START_TEST(wrong_rst_is_passed_on_only)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk.next[CLIENT] += 17;
	ck_assert_uint_eq(talk_send(&talk, CLIENT, RST, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(open_flows(), 1);
	engine_stop(&engine);
}
END_TEST

/* The same client port again within quarantine: a connection of its own, wherever it goes. */
START_TEST(client_port_again)
{
	struct talk again;

	begin();
	for (unsigned i = 0; i < 40; i++) {
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		ck_assert_uint_eq(talk_send(&talk, CLIENT, ACK, 100).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(open_flows(), 1);
		talk_close(&talk, i % 2 ? CLIENT : SERVER);
		ck_assert_uint_eq(open_flows(), 0);
		check_books();
		if (i % 4 == 3)
			engine_wait_ms(&engine, 3 * S);
	}
	ck_assert_uint_eq(balance()->counts.created, 40);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].connections_total, 20);
	talk_open(&again, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 200 * S);
	ck_assert_uint_eq(quarantined(), 0);
	ck_assert_uint_eq(talk_send(&again, SERVER, ACK, 10).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&again, CLIENT, ACK, 10).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A new flow is with another server and port than the old one, whose late packets still get
 * through. */
START_TEST(client_port_again_at_another_server)
{
	struct talk again;

	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, SERVER);
	talk_open(&again, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_ne(again.server, talk.server);
	ck_assert_uint_eq(quarantined(), 1);
	ck_assert_uint_eq(talk_send(&talk, SERVER, ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&again, SERVER, ACK, 0).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* The server sends its SYN again and again; the flow ends as if it had been silent. */
START_TEST(answers_do_not_prolong_half_open)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	for (unsigned i = 0; i < 40; i++) {
		talk_send(&talk, SERVER, SYN | ACK, 0);
		talk.next[SERVER]--;
		engine_wait_ms(&engine, 1 * S);
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], 1);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(service_is_found)
{
	struct rules *rules = fixture_rules(1);
	const struct rules_farm *farm = &rules->farms[0];

	for (unsigned p = 0; p < 65536; p++) {
		int want = -1;

		for (unsigned i = 0; i < farm->nports; i++)
			if (be16_get(farm->ports[i]) == p)
				want = (int)i;
		ck_assert_int_eq(rules_service(farm, be16_from((uint16_t)p)), want);
	}
	rules_free(rules);
}
END_TEST

/* Ticks come when they come: however rarely or often, everything ends in good time. */
START_TEST(expiry_whatever_the_ticks)
{
	const uint64_t steps_ms[] = {1, 3, 7, 333, 1000, 1700, 60000};

	for (unsigned k = 0; k < sizeof(steps_ms) / sizeof(steps_ms[0]); k++) {
		uint64_t waited = 0;

		begin();
		for (unsigned i = 0; i < 300; i++)
			talk_syn(&talk, &engine, fixture_client(i), 40000, 443);
		for (; waited < 29 * S; waited += steps_ms[k]) {
			ck_assert_uint_eq(open_flows(), 300);
			engine.now.ns += steps_ms[k] * LB_NS_PER_MS;
			if (waited + steps_ms[k] < 30 * S)
				engine_poll(&engine);
		}
		for (uint64_t end = waited + (steps_ms[k] > 2 * S ? 3 * steps_ms[k] : 5 * S);
		     waited < end; waited += steps_ms[k]) {
			engine.now.ns += steps_ms[k] * LB_NS_PER_MS;
			engine_poll(&engine);
		}
		ck_assert_uint_eq(open_flows(), 0);
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

/*
 * Many connections at random: the books balance at every moment, and in the end all is given back.
 */
START_TEST(random_use_balances)
{
	static struct talk talks[300];
	bool used[300] = {false};
	struct rules *rules = fixture_rules(3);

	rules->max_connections = 200;
	rules->farms[0].idle_timeout_ms = 20 * S;
	fixture_set_snat_ports(&rules->farms[0], 6000, 6024);
	engine_start(&engine, rules);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = random_below(300);

		if (!used[i])
			used[i] = talk_syn(&talks[i], &engine, fixture_client(i),
			                   (uint16_t)(40000 + i), random_below(2) ? 443 : 5061)
			                  .act == LB_FORWARD;
		else if (random_below(3))
			talk_send(&talks[i], random_below(2) ? CLIENT : SERVER,
			          random_below(8)   ? ACK
			          : random_below(2) ? FIN | ACK
			                            : SYN | ACK,
			          10);
		else if (random_below(2))
			talk_close(&talks[i], random_below(2) ? CLIENT : SERVER), used[i] = false;
		else
			talk_send(&talks[i], random_below(2) ? CLIENT : SERVER, RST | ACK, 0),
			        used[i] = random_below(2);
		if (round % 8 == 0)
			engine_wait_ms(&engine, random_below(400));
		check_books();
	}
	engine_wait_ms(&engine, 400 * S);
	ck_assert_uint_eq(open_flows(), 0);
	ck_assert_uint_eq(quarantined(), 0);
	check_books();
	engine_stop(&engine);
}
END_TEST

Suite *balance_suite(void)
{
	const TTest *const tests[] = {
	        half_open_ends,
	        half_open_with_an_answer_ends,
	        idle_ends,
	        each_packet_keeps_it,
	        closing_ends,
	        closing_ends_after_long,
	        half_closed_stays_as_long_as_open,
	        quarantine_if_the_server_closed_first,
	        quarantine_if_the_client_closed_first,
	        quarantine_after_a_rst,
	        quarantine_after_a_refusal,
	        fin_before_the_handshake_stays_half_open,
	        fin_that_completes_the_handshake_opens,
	        quarantine_ends_though_packets_come,
	        late_packets_find_their_way,
	        wrong_rst_is_passed_on_only,
	        client_port_again,
	        client_port_again_at_another_server,
	        answers_do_not_prolong_half_open,
	        service_is_found,
	        expiry_whatever_the_ticks,
	        random_use_balances,
	        NULL,
	};

	return suite_of("balance", tests);
}
