/*
 * Flows that go on after a RST: what it takes, and that everything balances meanwhile.
 */
#include "fixture.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000 };

static struct engine engine;
static struct talk talk;

static const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static const struct sched_server *server(void)
{
	return &balance()->farms->sched.servers[talk.server];
}

/* The connection log's records so far taken, the last one in record. */
static unsigned records;
static struct ended record;

/* What the counters owe each other at any time, records of ended flows included. */
static void check_books(void)
{
	const struct balance_counts *c = &balance()->counts;
	uint64_t ended = 0;

	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += c->ended[i];
	require_eq(c->created, ended + balance_open_flows(balance()));
	require_eq(balance()->farms->snat.in_use[0],
	           balance_open_flows(balance()) + balance_quarantined(balance()));
	while (lb_take_ended(engine.lb, &record))
		records++;
	require_eq(records + balance()->reset, ended);
}

/* Flows that are live, that may revive, that are load, and records. */
static void check(unsigned open, unsigned reset, unsigned load, unsigned nrecords)
{
	check_books();
	ck_assert_uint_eq(balance_open_flows(balance()), open);
	ck_assert_uint_eq(server()->connections, open);
	ck_assert_uint_eq(server()->load, load);
	ck_assert_uint_eq(balance()->reset, reset);
	ck_assert_uint_eq(records, nrecords);
}

static struct rules *logged_rules(unsigned nservers)
{
	struct rules *rules = fixture_rules(nservers);

	rules->farms[0].connlog = strdup("-");
	return rules;
}

static void begin_with(struct rules *rules)
{
	records = 0;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, ACK, 100);
	talk_send(&talk, SERVER, ACK, 200);
	check(1, 0, 1, 0);
}

static void begin(void)
{
	begin_with(logged_rules(1));
}

static void send(enum end end, uint8_t flags, uint16_t payload)
{
	ck_assert_uint_eq(talk_send(&talk, end, flags, payload).why, WHY_FLOW_HIT);
}

/* A RST that is believed, of which its alleged sender may know nothing. */
static void reset(enum end by)
{
	send(by, RST, 0);
	ck_assert_uint_eq(balance()->reset, 1);
}

START_TEST(ends_at_once_and_is_recorded_later)
{
	uint64_t at;

	begin();
	engine_wait_ms(&engine, 1234);
	at = engine.now.ns;
	reset(CLIENT);
	check(0, 1, 0, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
	engine_wait_ms(&engine, 9 * S);
	check(0, 1, 0, 0);
	engine_wait_ms(&engine, 3 * S);
	check(0, 0, 0, 1);
	ck_assert_uint_eq(record.why, ENDED_RST);
	ck_assert_uint_eq(record.end.ns, at / LB_NS_PER_MS * LB_NS_PER_MS);
	ck_assert_uint_eq(record.packets[CLIENT], 4);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	ck_assert(!lb_is_busy(engine.lb));
	engine_stop(&engine);
}
END_TEST

/* Who has sent a RST says nothing more: whoever goes on hasn't sent it. */
START_TEST(what_its_alleged_sender_says_revives)
{
	for (enum end by = CLIENT; by <= SERVER; by++) {
		begin();
		reset(by);
		check(0, 1, 0, 0);
		send(by, ACK, 10);
		check(1, 0, 1, 0);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 0);
		ck_assert_uint_eq(balance()->counts.revived, 1);
		ck_assert_uint_eq(balance()->counts.created, 1);
		ck_assert_uint_eq(server()->connections_total, 1);
		engine_wait_ms(&engine, 29 * 60 * S);
		check(1, 0, 1, 0);
		talk_close(&talk, by);
		check(0, 0, 0, 1);
		ck_assert_uint_eq(record.why, ENDED_FIN);
		engine_stop(&engine);
	}
}
END_TEST

/* What was underway when the RST came shows nothing; what comes a second later does. */
START_TEST(what_the_other_end_says_revives_after_a_second)
{
	for (enum end by = CLIENT; by <= SERVER; by++) {
		begin();
		reset(by);
		engine_wait_ms(&engine, 900);
		send(end_other(by), ACK, 10);
		check(0, 1, 0, 0);
		talk.next[end_other(by)] -= 10;
		engine_wait_ms(&engine, 300);
		send(end_other(by), ACK, 10);
		check(1, 0, 1, 0);
		engine_stop(&engine);
	}
}
END_TEST

/* All of it is passed on, as ever. */
START_TEST(nothing_else_revives)
{
	const uint32_t off[] = {1, -1u, 1000, -1000u, 0x80000000, 0x7fffffff};
	const uint8_t flags[] = {RST, RST | ACK, SYN | ACK, 0, FIN};

	begin();
	send(CLIENT, ACK, 0);
	reset(CLIENT);
	engine_wait_ms(&engine, 2 * S);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned which = 0; which < 4; which++) {
			struct talk stranger = talk;

			stranger.next[which & 1] += off[i];
			ck_assert_uint_eq(
			        talk_send(&stranger, which & 2 ? CLIENT : SERVER, ACK, 0).why,
			        WHY_FLOW_HIT);
			check(0, 1, 0, 0);
		}
	for (unsigned i = 0; i < 5; i++) {
		struct talk stranger = talk;

		ck_assert_uint_eq(talk_send(&stranger, CLIENT, flags[i], 0).why, WHY_FLOW_HIT);
		check(0, 1, 0, 0);
	}
	send(CLIENT, ACK, 0);
	check(1, 0, 1, 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(retransmission_revives)
{
	begin();
	send(CLIENT, ACK, 100);
	send(CLIENT, ACK, 100);
	reset(CLIENT);
	talk.next[CLIENT] -= 200;
	send(CLIENT, ACK, 100);
	check(1, 0, 1, 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(half_closed_is_half_closed_again)
{
	begin();
	send(CLIENT, FIN | ACK, 0);
	check(1, 0, 0, 0);
	reset(SERVER);
	check(0, 1, 0, 0);
	send(SERVER, ACK, 10);
	check(1, 0, 0, 0);
	engine_wait_ms(&engine, 29 * 60 * S);
	check(1, 0, 0, 0);
	send(SERVER, FIN | ACK, 0);
	send(CLIENT, ACK, 0);
	check(0, 0, 0, 1);
	ck_assert_uint_eq(record.why, ENDED_FIN);
	engine_stop(&engine);
}
END_TEST

START_TEST(closing_is_closing_again)
{
	begin();
	send(CLIENT, FIN | ACK, 0);
	talk.next[CLIENT]--; /* not acknowledged by the server's */
	send(SERVER, FIN | ACK, 0);
	talk.next[CLIENT]++;
	reset(SERVER);
	engine_wait_ms(&engine, 5 * S);
	talk.next[SERVER]--;
	send(SERVER, FIN | ACK, 0);
	check(1, 0, 0, 0);
	engine_wait_ms(&engine, 50 * S);
	check(1, 0, 0, 0);
	engine_wait_ms(&engine, 13 * S);
	check(0, 0, 0, 1);
	ck_assert_uint_eq(record.why, ENDED_IDLE);
	engine_stop(&engine);
}
END_TEST

/* Of a connection that wasn't there yet nothing is lost. */
START_TEST(half_open_stays_dead)
{
	records = 0;
	engine_start(&engine, logged_rules(1));
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	send(SERVER, SYN | ACK, 0);
	send(CLIENT, RST, 0);
	check(0, 0, 0, 1);
	send(CLIENT, ACK, 10);
	check(0, 0, 0, 1);
	engine_stop(&engine);
}
END_TEST

START_TEST(again_and_again)
{
	begin();
	for (unsigned i = 0; i < 10; i++) {
		enum end by = i % 3 ? CLIENT : SERVER;

		reset(by);
		check(0, 1, 0, 0);
		engine_wait_ms(&engine, 8 * S);
		send(by, ACK, 10);
		check(1, 0, 1, 0);
	}
	ck_assert_uint_eq(balance()->counts.revived, 10);
	reset(SERVER);
	engine_wait_ms(&engine, 12 * S);
	check(0, 0, 0, 1);
	ck_assert_uint_eq(record.why, ENDED_RST);
	engine_stop(&engine);
}
END_TEST

/* What was unseen of the windows while it was reset doesn't matter. */
START_TEST(numbers_are_followed_on)
{
	begin();
	reset(CLIENT);
	send(CLIENT, ACK, 10);
	for (unsigned i = 0; i < 1000; i++) {
		send(CLIENT, ACK, 1000);
		send(SERVER, ACK, 1000);
	}
	talk_close(&talk, CLIENT);
	check(0, 0, 0, 1);
	ck_assert_uint_eq(record.why, ENDED_FIN);
	engine_stop(&engine);
}
END_TEST

/* It may be silent for as long as another, not for as long as one that was reset rests. */
START_TEST(revived_flow_expires_in_time)
{
	struct rules *rules = logged_rules(1);

	rules->farms[0].idle_timeout_ms = 3 * S;
	begin_with(rules);
	reset(CLIENT);
	send(CLIENT, ACK, 10);
	engine_wait_ms(&engine, 5 * S);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], 1);
	engine_stop(&engine);
}
END_TEST

START_TEST(client_port_again_is_a_new_connection)
{
	begin();
	reset(CLIENT);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	check(1, 0, 1, 1);
	ck_assert_uint_eq(record.why, ENDED_RST);
	ck_assert_uint_eq(balance()->counts.created, 2);
	talk_close(&talk, CLIENT);
	check(0, 0, 0, 2);
	engine_stop(&engine);
}
END_TEST

/* Also where it is the same flow again: the old one is recorded, and revives no more. */
START_TEST(client_port_again_by_the_same_port)
{
	struct spec syn = spec_syn(fixture_client(1), 40000, 443);
	struct talk again;

	begin();
	reset(CLIENT);
	syn.seq += 1000000; /* so that a TIME_WAIT takes it */
	ck_assert_uint_eq(talk_syn_from(&again, &engine, &syn).why, WHY_FLOW_NEW);
	ck_assert_uint_eq(again.snat_port, talk.snat_port);
	check(1, 0, 1, 1);
	ck_assert_uint_eq(record.why, ENDED_RST);
	engine_stop(&engine);
}
END_TEST

/* The client has left: the old server alone revives nothing. */
START_TEST(client_port_again_at_another_server)
{
	struct talk old;

	begin_with(logged_rules(2));
	reset(CLIENT);
	old = talk;
	for (unsigned i = 2; talk.server == old.server; i++) {
		ck_assert_uint_lt(i, 4);
		talk_open(&talk, &engine, fixture_client(1), 40000, 443);
		if (talk.server == old.server) {
			reset(CLIENT);
			old = talk;
		}
	}
	engine_wait_ms(&engine, 2 * S);
	check_books();
	check(1, 0, 1, records);
	old.next[CLIENT] = talk.next[CLIENT];
	ck_assert_uint_eq(talk_send(&old, SERVER, ACK, 10).why, WHY_FLOW_HIT);
	check(1, 0, 1, records);
	ck_assert_uint_eq(balance()->counts.revived, 0);
	engine_stop(&engine);
}
END_TEST

/* Unless the port is the last one it isn't used again meanwhile. */
START_TEST(port_rests_until_it_is_over)
{
	struct rules *rules = logged_rules(1);
	struct talk old, more;

	fixture_set_snat_ports(&rules->farms[0], 6000, 6001);
	begin_with(rules);
	old = talk;
	reset(CLIENT);
	talk_open(&more, &engine, fixture_client(2), 40000, 443);
	ck_assert_uint_ne(more.snat_port, old.snat_port);
	check(1, 1, 1, 0);
	talk_open(&more, &engine, fixture_client(3), 40000, 443);
	ck_assert_uint_eq(more.snat_port, old.snat_port);
	ck_assert_uint_eq(balance()->counts.quarantine_cut, 1);
	check(2, 0, 2, 1);
	ck_assert_uint_eq(talk_send(&old, CLIENT, ACK, 10).why, WHY_NO_FLOW);
	engine_stop(&engine);
}
END_TEST

START_TEST(dead_server_or_farm_revives_nothing)
{
	struct rules *rules = logged_rules(1);

	rules->farms[0].checks = calloc(1, sizeof(*rules->farms[0].checks));
	rules->farms[0].checks[0] = be16_from(443);
	rules->farms[0].nchecks = 1;
	records = 0;
	engine_start(&engine, rules);
	lb_probed(engine.lb, 0, 0, true, engine.now);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	reset(CLIENT);
	for (unsigned i = 0; i < 3; i++)
		lb_probed(engine.lb, 0, 0, false, engine.now);
	send(CLIENT, ACK, 10);
	check(0, 1, 0, 0);
	engine_wait_ms(&engine, 12 * S);
	check(0, 0, 0, 1);
	engine_stop(&engine);

	begin();
	reset(CLIENT);
	rules = logged_rules(1);
	rules->farms[0].vip = ip4(10, 0, 7, 7);
	engine_reload(&engine, rules);
	engine_poll(&engine);
	send(CLIENT, ACK, 10);
	ck_assert_uint_eq(balance_open_flows(balance()), 0);
	ck_assert_uint_eq(balance()->reset, 1);
	engine_stop(&engine);
}
END_TEST

/* At the end of the process nothing is left out of the log. */
START_TEST(buried_at_the_end)
{
	const unsigned n = ENDED_RING + 100;
	struct rules *rules = logged_rules(1);
	uint32_t cursor = 0;

	rules->max_connections = 3 * n;
	records = 0;
	engine_start(&engine, rules);
	for (unsigned i = 0; i < n; i++) {
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
		talk_send(&talk, CLIENT, RST, 0);
	}
	check(0, n, 0, 0);
	ck_assert(lb_bury(engine.lb, &cursor, false, engine.now));
	check(0, 100, 0, ENDED_RING);
	ck_assert(!lb_bury(engine.lb, &cursor, false, engine.now));
	check(0, 0, 0, n);
	ck_assert_uint_eq(balance()->ended.lost, 0);
	ck_assert_uint_eq(balance_quarantined(balance()), n);
	engine_stop(&engine);
}
END_TEST

Suite *revive_suite(void)
{
	const TTest *const tests[] = {ends_at_once_and_is_recorded_later,
	                              what_its_alleged_sender_says_revives,
	                              what_the_other_end_says_revives_after_a_second,
	                              nothing_else_revives,
	                              retransmission_revives,
	                              half_closed_is_half_closed_again,
	                              closing_is_closing_again,
	                              half_open_stays_dead,
	                              again_and_again,
	                              numbers_are_followed_on,
	                              revived_flow_expires_in_time,
	                              client_port_again_is_a_new_connection,
	                              client_port_again_by_the_same_port,
	                              client_port_again_at_another_server,
	                              port_rests_until_it_is_over,
	                              dead_server_or_farm_revives_nothing,
	                              buried_at_the_end,
	                              NULL};

	return suite_of("revive", tests);
}
