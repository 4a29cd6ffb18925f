/*
 * Flows that end: idle, half-open, and those of a server that has died.
 */
#include "lb_fixture.h"

#include <stdlib.h>

/* --- flows that end --- */

/* A RST of ours to an end, as it must say it. */
static bool resets(enum end to, uint32_t seq)
{
	const be32 dst = to == CLIENT ? talk.client : fixture_server(talk.server);
	const uint16_t dport = to == CLIENT ? talk.sport : talk.dport;

	for (unsigned i = 0; i < engine.nowns; i++) {
		const struct own *own = &engine.owns[i];

		if (own->kind == OWN_TCP && own->tcp_flags & RST && be32_eq(own->tuple.dst, dst) &&
		    be16_get(own->tuple.dport) == dport && own->seq == seq &&
		    (own->server == SERVER_NONE) == (to == CLIENT))
			return true;
	}
	return false;
}

START_TEST(idle_flow_is_reset)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	talk_send(&talk, CLIENT, ACK, 100);
	talk_send(&talk, SERVER, ACK, 200);
	talk_send(&talk, CLIENT, ACK, 0);
	engine_wait_ms(&engine, (30 * 60 + 3) * S);
	ck_assert_uint_eq(engine.nowns, 2);
	ck_assert(resets(CLIENT, talk.next[SERVER]));
	ck_assert(resets(SERVER, talk.next[CLIENT]));
	/* who didn't hear it is told again */
	check_rst(WHY_NO_FLOW, talk_spec(&talk, CLIENT, ACK, 10));
	check_rst(WHY_NO_FLOW, talk_spec(&talk, SERVER, ACK, 10));
	engine_stop(&engine);
}
END_TEST

START_TEST(idle_flow_is_forgotten_silently)
{
	begin();
	engine.rules->farms[0].on_idle = ON_IDLE_DROP;
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	engine_wait_ms(&engine, (30 * 60 + 3) * S);
	ck_assert_uint_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	ck_assert_uint_eq(engine.nowns, 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(half_open_flow_ends_silently)
{
	begin();
	talk_syn(&talk, &engine, fixture_client(1), 40000, 5061);
	engine_wait_ms(&engine, 40 * S);
	ck_assert_uint_eq(engine.nowns, 0);
	engine_stop(&engine);
}
END_TEST

static void begin_checked(enum rules_on_down on_down)
{
	struct rules *rules = fixture_rules(2);

	rules->farms[0].on_down = on_down;
	rules->farms[0].checks = calloc(1, sizeof(*rules->farms[0].checks));
	rules->farms[0].checks[0] = be16_from(5061);
	rules->farms[0].nchecks = 1;
	engine_start(&engine, rules);
}

static void probe(unsigned server, unsigned n, bool ok)
{
	while (n-- > 0)
		lb_probed(engine.lb, server, 0, ok, engine.now);
}

START_TEST(checked_farm_is_closed_until_a_probe_succeeds)
{
	struct spec spec = icmp_spec();

	begin_checked(ON_DOWN_RESET);
	check_rst(WHY_NO_SERVER, client_spec(SYN));
	frames_icmp(&built, &spec);
	check_why(WHY_ECHO_NO_SERVER);
	probe(1, 1, true);
	frames_icmp(&built, &spec);
	check_why(WHY_ECHO_REPLY);
	for (unsigned i = 0; i < 5; i++) {
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
		ck_assert_uint_eq(talk.server, 1);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(flows_of_a_dead_server_are_reset)
{
	struct talk other;

	begin_checked(ON_DOWN_RESET);
	probe(0, 1, true);
	probe(1, 1, true);
	talk_open(&other, &engine, fixture_client(2), 40000, 443);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_ne(talk.server, other.server);
	probe(talk.server, 2, false);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(engine.nowns, 0);
	probe(talk.server, 1, false);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(engine.nowns, 2);
	ck_assert(resets(CLIENT, talk.next[SERVER]));
	ck_assert(resets(SERVER, talk.next[CLIENT]));
	ck_assert_uint_eq(talk_send(&other, CLIENT, ACK, 10).why, WHY_FLOW_HIT);
	check_rst(WHY_NO_FLOW, talk_spec(&talk, CLIENT, ACK, 10));
	/* the client comes again and lands on the other one */
	talk_open(&other, &engine, fixture_client(1), 40000, 443);
	ck_assert_uint_ne(other.server, talk.server);
	engine_stop(&engine);
}
END_TEST

/* Dropped without a word, whether its server has answered or not: the client's next SYN, the same
 * or another, gets another server, and what the first one may say yet is no flow's. */
START_TEST(half_open_flow_of_a_dead_server)
{
	for (unsigned i = 0; i < 4; i++) {
		struct talk again;

		begin_checked(i & 1 ? ON_DOWN_KEEP : ON_DOWN_RESET);
		probe(0, 1, true);
		talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
		if (i & 2)
			talk_send(&talk, SERVER, SYN | ACK, 0);
		probe(1, 1, true);
		probe(0, 3, false);
		engine_wait_ms(&engine, 100);
		ck_assert_uint_eq(engine.nowns, 0);
		ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_SERVER_DOWN], 1);
		ck_assert_uint_eq(balance_quarantined(lb_balance(engine.lb)), 0);
		check_rst(WHY_NO_FLOW, talk_spec(&talk, SERVER, SYN | ACK, 0));
		talk_open(&again, &engine, fixture_client(1), 40000, 443);
		ck_assert_uint_eq(again.server, 1);
		engine_stop(&engine);
	}
}
END_TEST

START_TEST(flows_of_a_dead_server_may_be_kept)
{
	begin_checked(ON_DOWN_KEEP);
	probe(0, 1, true);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	probe(0, 3, false);
	engine_wait_ms(&engine, 5 * S);
	ck_assert_uint_eq(engine.nowns, 0);
	check_hit(CLIENT, talk_spec(&talk, CLIENT, ACK, 10));
	engine_stop(&engine);
}
END_TEST

/* More flows than one call may answer for. */
START_TEST(many_flows_of_a_dead_server)
{
	begin_checked(ON_DOWN_RESET);
	probe(0, 1, true);
	for (unsigned i = 0; i < 400; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
	probe(0, 3, false);
	engine_poll(&engine);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_SERVER_DOWN], 400);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.resets, 800);
	engine_stop(&engine);
}
END_TEST

static uint32_t connections_of(unsigned server)
{
	return lb_balance(engine.lb)->farms->sched.servers[server].connections;
}

/* Places that are taken after the verdict don't hide others from the eye that goes around. */
START_TEST(flows_of_a_dead_server_in_a_growing_table)
{
	unsigned client = 0;

	begin_checked(ON_DOWN_RESET);
	probe(0, 1, true);
	probe(1, 1, true);
	while (client < 20)
		talk_open(&talk, &engine, fixture_client(client++), 40000, 443);
	probe(0, 3, false);
	engine_poll(&engine);
	ck_assert_uint_eq(connections_of(0), 0);
	probe(0, 2, true);
	probe(1, 3, false);
	while (client < 30)
		talk_open(&talk, &engine, fixture_client(client++), 40000, 443);
	engine_poll(&engine);
	ck_assert_uint_eq(connections_of(0), 10);
	ck_assert_uint_eq(connections_of(1), 0);
	engine_stop(&engine);
}
END_TEST

/* All that has expired, however little one call has room for. */
START_TEST(many_idle_flows)
{
	struct own owns[EXPIRE_RESETS_MAX];
	unsigned resets = 0;
	bool more = true;

	begin();
	engine.rules->farms[0].idle_timeout_ms = 5 * S;
	for (unsigned i = 0; i < 50; i++)
		talk_open(&talk, &engine, fixture_client(i), 40000, 443);
	engine.now.ns += 7ull * S * LB_NS_PER_MS;
	while (more)
		resets += lb_poll(engine.lb, engine.now, owns, EXPIRE_RESETS_MAX, &more);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 50);
	ck_assert_uint_eq(resets, 100);
	engine_stop(&engine);
}
END_TEST

START_TEST(probe_reply_is_told)
{
	struct spec spec = client_spec(SYN | ACK);
	struct verdict v;

	begin();
	spec.side = INSIDE;
	spec.src = mac_of(0x41);
	spec.from = fixture_server(0);
	spec.sport = 5061;
	spec.ack = 4242;
	for (unsigned i = 0; i < RULES_PROBE_PORTS; i++) {
		spec.dport = (uint16_t)(RULES_PROBE_PORT + i);
		frames_tcp(&built, &spec);
		v = check_why(WHY_PROBE);
		ck_assert_uint_eq(v.probe.ack, 4242);
		ck_assert_uint_eq(v.probe.seq, spec.seq);
		ck_assert_uint_eq(v.probe.data_len, 0);
		ck_assert_uint_eq(v.probe.tcp_flags, SYN | ACK);
		ck_assert_uint_eq(be16_get(v.probe.tuple.dport), spec.dport);
	}
	spec.dport = RULES_PROBE_PORT + RULES_PROBE_PORTS;
	check_rst(WHY_NO_FLOW, spec);
	spec.dport = RULES_PROBE_PORT;
	spec.from = fixture_client(3);
	check_rst(WHY_NO_FLOW, spec);
	engine_stop(&engine);
}
END_TEST

Suite *lb_ends_suite(void)
{
	const TTest *const tests[] = {
	        idle_flow_is_reset,
	        idle_flow_is_forgotten_silently,
	        half_open_flow_ends_silently,
	        checked_farm_is_closed_until_a_probe_succeeds,
	        flows_of_a_dead_server_are_reset,
	        half_open_flow_of_a_dead_server,
	        flows_of_a_dead_server_may_be_kept,
	        many_flows_of_a_dead_server,
	        flows_of_a_dead_server_in_a_growing_table,
	        many_idle_flows,
	        probe_reply_is_told,
	        NULL,
	};

	return suite_of("lb_ends", tests);
}
