/*
 * What gives way when something is full: the table, its half-open places, a server.
 */
#include "balance_fixture.h"

static void begin_with_room_for(uint32_t n)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = n;
	rules->max_half_open = 1;
	engine_start(&engine, rules);
}

START_TEST(full_table_refuses)
{
	begin_with_room_for(5);
	for (unsigned i = 0; i < 5; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
	                  WHY_TABLE_FULL);
	ck_assert_uint_eq(balance()->counts.refused, 1);
	ck_assert_uint_eq(balance()->counts.created, 5);
	check_books();
	engine_stop(&engine);
}
END_TEST

START_TEST(full_table_cuts_the_oldest_quarantine)
{
	struct talk talks[5], more;

	begin_with_room_for(5);
	for (unsigned i = 0; i < 5; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 443);
	talk_close(&talks[3], SERVER);
	engine_wait_ms(&engine, S);
	talk_close(&talks[1], SERVER);
	talk_open(&more, &engine, fixture_client(8), 40000, 443);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 0);
	talk_open(&more, &engine, fixture_client(9), 40000, 443);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 1);
	ck_assert_uint_eq(talk_send(&talks[1], CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&talks[3], CLIENT, ACK, 0).why, WHY_NO_FLOW);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Half-open ones have places of their own: beyond these the oldest gives way, and no other. */
START_TEST(full_half_open_places_cut_the_oldest)
{
	struct rules *rules = fixture_rules(2);
	struct talk talks[3], halves[3];

	rules->max_connections = 100;
	rules->max_half_open = 2;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 3; i++)
		talk_open(&talks[i], &engine, fixture_client(i), 40000, 5061);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(
		        talk_syn(&halves[i], &engine, fixture_client(3 + i), 40000, 443 + i % 2)
		                .why,
		        WHY_FLOW_NEW);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 1);
	ck_assert_uint_eq(talk_send(&halves[0], SERVER, SYN | ACK, 0).why, WHY_NO_FLOW);
	for (unsigned i = 1; i < 3; i++)
		ck_assert_uint_eq(talk_send(&halves[i], SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(talk_send(&talks[i], SERVER, ACK, 10).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Nor does who uses a port again that rests get more than his own: his flow is half-open, too. */
START_TEST(who_opens_again_takes_a_place)
{
	for (unsigned of_server = 0; of_server < 2; of_server++) {
		struct rules *rules = fixture_rules(1);
		struct spec syn = spec_syn(fixture_client(1), 40000, 443);
		struct talk halves[2], again;

		if (of_server)
			rules->servers[0].max_connections = 2;
		else
			rules->max_half_open = 2;
		engine_start(&engine, rules);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		talk_close(&talk, CLIENT);
		for (unsigned i = 0; i < 2; i++)
			talk_syn(&halves[i], &engine, fixture_client(3 + i), 40000, 443);
		engine_wait_ms(&engine, 200);
		syn.seq += 1000000; /* so that a TIME_WAIT takes it */
		ck_assert_uint_eq(talk_syn_from(&again, &engine, &syn).why, WHY_FLOW_NEW);
		ck_assert_uint_eq(again.snat_port, talk.snat_port);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 1);
		ck_assert_uint_eq(balance()->flows.openings.list.length, 2);
		ck_assert_uint_eq(talk_send(&halves[0], SERVER, SYN | ACK, 0).why, WHY_NO_FLOW);
		ck_assert_uint_eq(talk_send(&halves[1], SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
		check_books();
		engine_stop(&engine);
	}
}
END_TEST

/* Those that are on their way when the last place is taken are let in: there are places. */
START_TEST(half_open_ones_may_open_in_a_full_table)
{
	struct talk half, talks[3];

	begin_with_room_for(2);
	talk_syn(&half, &engine, fixture_client(9), 40000, 443);
	engine.rules->servers[0].weight = 1;
	ck_assert_uint_eq(talk_send(&half, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&half, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	talk_open(&talks[0], &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_eq(talk_syn(&talks[1], &engine, fixture_client(2), 40000, 443).why,
	                  WHY_TABLE_FULL);
	ck_assert_uint_eq(balance_established(balance()), 2);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A server whose max_connections are taken by half-open ones takes the place of the oldest, who has
 * 100 ms to open. */
START_TEST(full_server_cuts_its_oldest_half_open)
{
	struct rules *rules = fixture_rules(1);
	struct talk open, halves[3];

	rules->servers[0].max_connections = 3;
	engine_start(&engine, rules);
	talk_open(&open, &engine, fixture_client(1), 40000, 443);
	for (unsigned i = 0; i < 3; i++) {
		if (i == 2) {
			engine_wait_ms(&engine, 99);
			ck_assert_uint_eq(
			        talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
			        WHY_SERVERS_FULL);
			ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 0);
			engine_wait_ms(&engine, 1);
		}
		ck_assert_uint_eq(
		        talk_syn(&halves[i], &engine, fixture_client(2 + i), 40000, 443 + i % 2)
		                .why,
		        WHY_FLOW_NEW);
		/* a server's SYN, repeated, changes nothing of that */
		talk_send(&halves[0], SERVER, SYN | ACK, 0);
		halves[0].next[SERVER]--;
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_EVICTED], 1);
	ck_assert_uint_eq(connections(), 3);
	ck_assert_uint_eq(talk_send(&halves[1], SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(talk_send(&halves[2], SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	for (unsigned i = 1; i < 3; i++)
		talk_send(&halves[i], CLIENT, ACK, 0);
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
	                  WHY_SERVERS_FULL);
	ck_assert_uint_eq(talk_send(&open, SERVER, ACK, 10).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* Of a server with max places, all are taken by strangers who haven't opened yet, one client who is
 * known and hasn't either, and open connections; then known ones ask, as often as there are
 * strangers. */
static void crowd(uint32_t max, unsigned strangers, bool makes_way)
{
	struct rules *rules = fixture_rules(1);
	struct talk other, half;

	rules->servers[0].max_connections = max;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_close(&talk, SERVER);
	for (unsigned i = 0; i < max - 1 - strangers; i++)
		talk_open(&other, &engine, fixture_client(2), (uint16_t)(40000 + i), 443);
	for (unsigned i = 0; i < strangers; i++)
		talk_syn(&other, &engine, fixture_client(3 + i), 40000, 443);
	talk_syn(&half, &engine, fixture_client(1), 41000, 443);
	for (unsigned i = 0; i < strangers; i++)
		require_eq(
		        talk_syn(&talk, &engine, fixture_client(1), (uint16_t)(42000 + i), 443).why,
		        makes_way ? WHY_FLOW_NEW : WHY_SERVERS_FULL);
	require_eq(balance()->counts.ended[ENDED_EVICTED], makes_way ? strangers : 0);
	require_eq(talk_syn(&talk, &engine, fixture_client(1), 43000, 443).why, WHY_SERVERS_FULL);
	require_eq(talk_syn(&talk, &engine, fixture_client(100), 40000, 443).why, WHY_SERVERS_FULL);
	require_eq(talk_send(&half, SERVER, SYN | ACK, 0).why, WHY_FLOW_HIT);
	require_eq(talk_send(&half, CLIENT, ACK, 0).why, WHY_FLOW_HIT);
	check_books();
	engine_stop(&engine);
}

/* In a flood nobody who is known has to wait for that: strangers who haven't opened make way for
 * him, but no other client who is known, nor where they are few, or fewer than what is open. */
START_TEST(crowded_server_takes_who_is_known)
{
	crowd(32, 15, true); /* of 32 are 16 half-open */
	crowd(32, 31, true);
	crowd(40, 19, true);
	crowd(16, 15, true);
	crowd(40, 18, false);
	crowd(30, 14, false);
	crowd(15, 14, false); /* all of them */
	crowd(2, 1, false);
}
END_TEST

/* Who floods in the name of one who is known gets no more than that one may: half of it where he
 * has been counted before, as so many half-open ones are a flood. */
START_TEST(nobody_crowds_a_server_in_one_known_name)
{
	static const struct {
		uint32_t max_half_open;
		unsigned may;
	} cases[] = {{1000, 250}, {600, 125}};

	for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct rules *rules = fixture_rules(1);
		unsigned n = 0;

		rules->servers[0].max_connections = 300;
		rules->max_half_open = cases[c].max_half_open;
		engine_start(&engine, rules);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		talk_close(&talk, SERVER);
		for (unsigned i = 0; i < 300; i++)
			talk_syn(&talk, &engine, fixture_client(2), (uint16_t)(1024 + i), 443);
		for (unsigned i = 0; i < 300; i++)
			n += talk_syn(&talk, &engine, fixture_client(1), (uint16_t)(41000 + i), 443)
			             .why == WHY_FLOW_NEW;
		ck_assert_uint_eq(n, cases[c].may);
		engine_stop(&engine);
	}
}
END_TEST

/* Little room for RSTs at a time: each flow is reset all the same, and once. */
START_TEST(many_idle_flows_are_reset_bit_by_bit)
{
	enum { FLOWS = 40 };
	struct rules *rules = fixture_rules(2);
	struct own own[EXPIRE_RESETS_MAX];
	unsigned sent = 0;
	bool more;

	rules->farms[0].idle_timeout_ms = 1 * S;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < FLOWS; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 5061);
	engine.now.ns += 5 * LB_NS_PER_S;
	for (unsigned i = 0; i < 10 * FLOWS && open_flows() > 0; i++) {
		engine.now.ns += LB_NS_PER_MS;
		sent += lb_poll(engine.lb, engine.now, own, EXPIRE_RESETS_MAX, &more);
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], FLOWS);
	ck_assert_uint_eq(sent, balance()->counts.resets);
	ck_assert_uint_ge(sent, 2 * FLOWS);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* The port is given back when there is no place. */
START_TEST(no_place_costs_no_port)
{
	begin_with_room_for(2);
	for (unsigned i = 0; i < 2; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(9), 40000, 443).why,
	                  WHY_TABLE_FULL);
	check_books();
	engine_stop(&engine);
}
END_TEST

/* A client that is back at a server where its last connection but one still rests. */
START_TEST(without_snat_quarantine_gives_way)
{
	struct rules *rules = fixture_rules(2);
	struct talk talks[3];

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 3; i++) {
		talk_open(&talks[i], &engine, fixture_client(1), 40000, 443);
		talk_close(&talks[i], SERVER);
	}
	ck_assert_uint_ne(talks[1].server, talks[0].server);
	ck_assert_uint_eq(talks[2].server, talks[0].server);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 1);
	engine_stop(&engine);
}
END_TEST

Suite *balance_full_suite(void)
{
	const TTest *const tests[] = {
	        full_table_refuses,
	        full_table_cuts_the_oldest_quarantine,
	        full_half_open_places_cut_the_oldest,
	        who_opens_again_takes_a_place,
	        half_open_ones_may_open_in_a_full_table,
	        full_server_cuts_its_oldest_half_open,
	        crowded_server_takes_who_is_known,
	        nobody_crowds_a_server_in_one_known_name,
	        many_idle_flows_are_reset_bit_by_bit,
	        no_place_costs_no_port,
	        without_snat_quarantine_gives_way,
	        NULL,
	};

	return suite_of("balance_full", tests);
}
