/*
 * The life of connections: how long each state lasts, and what is given back.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000 };

static struct engine engine;
static struct talk talk;

static const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static uint32_t open_flows(void)
{
	return balance_open_flows(balance());
}

static uint32_t quarantined(void)
{
	return balance_quarantined(balance());
}

static uint64_t closed(void)
{
	return balance()->counts.ended[ENDED_FIN] + balance()->counts.ended[ENDED_RST];
}

static uint32_t connections(void)
{
	uint32_t n = 0;

	for (unsigned s = 0; s < engine.rules->nservers; s++)
		n += balance()->farms->sched.servers[s].connections;
	return n;
}

/* What the counters owe each other at any time. */
static void check_books(void)
{
	const struct balance_counts *c = &balance()->counts;
	uint64_t in_use = 0, addresses = 0, ended = 0;

	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += c->ended[i];
	ck_assert_uint_eq(c->created, ended + open_flows());
	ck_assert_uint_eq(connections(), open_flows());
	for (unsigned f = 0; f < engine.rules->nfarms; f++)
		addresses += engine.rules->farms[f].nsnat;
	for (unsigned a = 0; a < addresses; a++)
		in_use += balance()->farms->snat.in_use[a];
	ck_assert_uint_eq(in_use, open_flows() + quarantined());
}

static void begin(void)
{
	engine_start(&engine, fixture_rules(2));
}

/* That a live flow ends s seconds from now: a little before it is there, a few seconds later not.
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

/* With n SNAT ports for each server and service. */
static void begin_with_ports(uint16_t n)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_snat_ports(&rules->farms[0], 6000, (uint16_t)(6000 + n - 1));
	engine_start(&engine, rules);
}

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

/* Whatever the scheduler prefers: a server without ports is passed over as one that is full. */
START_TEST(server_without_ports_is_passed_over)
{
	enum { PORTS = 10 };
	const enum rules_scheduler schedulers[] = {SCHED_WLC, SCHED_LC, SCHED_WRR, SCHED_RR,
	                                           SCHED_SOURCE};

	for (unsigned i = 0; i < 5; i++) {
		struct rules *rules = fixture_rules(2);

		rules->farms[0].scheduler = schedulers[i];
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

/* Many connections at random: the books balance at every moment, and in the end all is given back.
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
	const TTest *const tests[] = {half_open_ends,
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
	                              full_table_refuses,
	                              full_table_cuts_the_oldest_quarantine,
	                              full_half_open_places_cut_the_oldest,
	                              half_open_ones_may_open_in_a_full_table,
	                              full_server_cuts_its_oldest_half_open,
	                              answers_do_not_prolong_half_open,
	                              server_without_ports_is_passed_over,
	                              resting_ports_are_those_of_the_pool,
	                              half_open_ports_are_those_of_the_pool,
	                              own_port_is_preferred,
	                              own_port_is_his_while_it_rests,
	                              many_idle_flows_are_reset_bit_by_bit,
	                              no_snat_port_refuses,
	                              no_snat_port_in_a_full_table,
	                              no_place_costs_no_port,
	                              without_snat_quarantine_gives_way,
	                              no_snat_port_cuts_quarantine,
	                              cut_in_a_shared_pool,
	                              service_is_found,
	                              expiry_whatever_the_ticks,
	                              random_use_balances,
	                              NULL};

	return suite_of("balance", tests);
}
