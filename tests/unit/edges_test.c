/*
 * Odd but real TCP through the engine, which must pass as it is.
 */
#include "edges_fixture.h"
#include "random.h"

enum { ECE = 0x40, CWR = 0x80, S = 1000 };

/*
 * Passes built in, its checksums put right: it must come out with other addresses and ports, good
 * checksums, and else as it was.
 */
static void check_kept(enum lb_why why)
{
	struct built before;

	frames_fix(&built);
	frames_copy(&before, &built);
	ck_assert_uint_eq(engine_input(&engine, &built).why, why);
	ck_assert_uint_eq(built.frame.len, before.frame.len);
	ck_assert_uint_eq(frames_ip_error(&built), 0);
	ck_assert_uint_eq(frames_tcp_error(&built), 0);
	ck_assert_mem_ne(ip() + 12, before.frame.data + before.l3 + 12, 8);
	memcpy(ip() + 10, before.frame.data + before.l3 + 10, 10);
	memcpy(tcp(), before.frame.data + before.l4, 4);
	memcpy(tcp() + 16, before.frame.data + before.l4 + 16, 2);
	ck_assert_mem_eq(built.bytes, before.bytes, sizeof(built.bytes));
}

/* --- what passes as it is --- */

/* Record route, timestamps, router alert, source routes, or what nobody knows. */
START_TEST(ip_options)
{
	static const uint8_t options[][12] = {
	        {7, 11, 4},
	        {68, 12, 5, 0},
	        {148, 4, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0},
	        {131, 7, 4, 10, 1, 1},
	        {137, 11, 8, 10, 2, 2},
	        {0x9e, 12, 0xff, 0xff},
	};

	open_one();
	for (unsigned i = 0; i < 2 * sizeof(options) / sizeof(options[0]); i++) {
		struct spec spec = next(i % 2 ? CLIENT : SERVER, ACK, 10);

		spec.ip_options = 12;
		frames_tcp(&built, &spec);
		memcpy(ip() + 20, options[i / 2], 12);
		check_kept(WHY_FLOW_HIT);
		spec.ip_options = 40;
		frames_tcp(&built, &spec);
		for (unsigned b = 20; b < 60; b++)
			ip()[b] = (uint8_t)random_below(256);
		check_kept(WHY_FLOW_HIT);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(ip_options_of_a_syn)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	begin();
	spec.ip_options = 40;
	frames_tcp(&built, &spec);
	ip()[20] = 7;
	ip()[21] = 39;
	check_kept(WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/*
 * Timestamps and SACK blocks; an MD5 signature (RFC 2385); TCP-AO (RFC 5925); MPTCP; experiments.
 */
START_TEST(tcp_options)
{
	static const uint8_t kinds[] = {8, 5, 19, 29, 30, 253, 77};

	open_one();
	for (unsigned i = 0; i < 2 * sizeof(kinds); i++) {
		struct spec spec = next(i % 2 ? CLIENT : SERVER, ACK, 10);

		spec.tcp_options = 40;
		frames_tcp(&built, &spec);
		for (unsigned b = 20; b < 60; b++)
			tcp()[b] = (uint8_t)random_below(256);
		tcp()[22] = kinds[i / 2];
		tcp()[23] = 18;
		check_kept(WHY_FLOW_HIT);
	}
	engine_stop(&engine);
}
END_TEST

/* MSS, SACK permitted, timestamps, window scale, MD5: none is taken out or changed. */
START_TEST(tcp_options_of_a_syn)
{
	static const uint8_t options[40] = {2, 4, 5, 180, 4, 2,  8,  10, 1, 2, 3, 4, 0, 0, 0,
	                                    0, 1, 3, 3,   7, 19, 18, 9,  8, 7, 6, 5, 4, 3, 2};
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	begin();
	spec.tcp_options = 40;
	frames_tcp(&built, &spec);
	memcpy(tcp() + 20, options, 40);
	check_kept(WHY_FLOW_NEW);
	ck_assert_uint_eq(flow_wscale(flows_at(&balance()->flows, 0), CLIENT), 7);
	engine_stop(&engine);
}
END_TEST

START_TEST(urgent)
{
	open_one();
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec = next(end, URG | PSH | ACK, 10);

		frames_tcp(&built, &spec);
		frames_put16(tcp() + 18, 10);
		check_kept(WHY_FLOW_HIT);
		frames_tcp(&built, &spec);
		frames_put16(tcp() + 18, 0xffff); /* beyond the segment: so be it */
		check_kept(WHY_FLOW_HIT);
	}
	engine_stop(&engine);
}
END_TEST

/* DSCP, ECN's two bits, all flags of TCP that say nothing of its life, and the reserved bits. */
START_TEST(classes_and_congestion)
{
	open_one();
	for (unsigned tos = 0; tos < 256; tos++)
		for (enum end end = CLIENT; end <= SERVER; end++) {
			struct spec spec = next(end, ACK, 10);

			frames_tcp(&built, &spec);
			ip()[1] = (uint8_t)tos;
			tcp()[12] = (uint8_t)(tcp()[12] | (tos & 0xf));
			tcp()[13] = (uint8_t)(ACK | (tos & (ECE | CWR | PSH)));
			check_kept(WHY_FLOW_HIT);
		}
	engine_stop(&engine);
}
END_TEST

/* A SYN that asks for ECN (RFC 3168, 6.1.1), or more accurate ECN with NS too, is a SYN. */
START_TEST(ecn_is_negotiated)
{
	for (unsigned ns = 0; ns < 2; ns++) {
		struct spec spec = spec_syn(fixture_client(1), 40000, 443);

		begin();
		spec.flags = SYN | ECE | CWR;
		frames_tcp(&built, &spec);
		tcp()[12] = (uint8_t)(tcp()[12] | ns);
		check_kept(WHY_FLOW_NEW);
		engine_stop(&engine);
	}
}
END_TEST

/* --- openings and ends in odd orders --- */

/* Both send a SYN, both acknowledge the other's (RFC 9293, figure 7). */
START_TEST(simultaneous_open)
{
	begin();
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(1), 40000, 443).why,
	                  WHY_FLOW_NEW);
	send(SERVER, SYN, 0);
	ck_assert_uint_eq(flows_at(&balance()->flows, 0)->state, FLOW_HALF_OPEN);
	talk.next[CLIENT]--;
	send(CLIENT, SYN | ACK, 0);
	talk.next[SERVER]--;
	send(SERVER, SYN | ACK, 0);
	ck_assert_uint_eq(flows_at(&balance()->flows, 0)->state, FLOW_OPEN);
	send(CLIENT, ACK, 100);
	send(SERVER, ACK, 100);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	ck_assert_uint_eq(balance()->counts.created, 1);
	engine_stop(&engine);
}
END_TEST

/* Both ends come to TIME_WAIT, so that the port rests as long as the server's may last. */
START_TEST(simultaneous_close)
{
	open_one();
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec = next(end, FIN | ACK, 0);

		frames_tcp(&built, &spec);
		check_kept(WHY_FLOW_HIT);
	}
	talk.next[CLIENT]++;
	talk.next[SERVER]++;
	send(CLIENT, ACK, 0);
	ck_assert_uint_eq(balance_open_flows(balance()), 1);
	send(SERVER, ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	engine_wait_ms(&engine, (BALANCE_QUARANTINE_S - 2) * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 1);
	engine_stop(&engine);
}
END_TEST

/* The FIN overtakes data: it counts, and what comes late is passed on. */
START_TEST(fin_before_data)
{
	struct spec late;

	open_one();
	late = next(CLIENT, ACK, 100);
	talk.next[CLIENT] += 100;
	send(CLIENT, FIN | ACK, 0);
	frames_tcp(&built, &late);
	check_kept(WHY_FLOW_HIT);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 0);
	send(SERVER, FIN | ACK, 0);
	send(CLIENT, ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	engine_stop(&engine);
}
END_TEST

/*
 * A RST after both FINs is the end, as they are; one that comes when all is over changes nothing.
 */
START_TEST(rst_and_fin_in_odd_orders)
{
	open_one();
	send(CLIENT, FIN | ACK, 0);
	send(CLIENT, RST | ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
	send(SERVER, FIN | ACK, 0); /* was underway */
	ck_assert_uint_eq(balance_open_flows(balance()), 0);
	engine_stop(&engine);

	open_one();
	send(CLIENT, RST | FIN | ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 1);
	engine_stop(&engine);

	open_one();
	talk_close(&talk, CLIENT);
	send(CLIENT, RST, 0);
	send(CLIENT, FIN | ACK, 0);
	send(SERVER, RST | ACK, 0);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 0);
	engine_wait_ms(&engine, (BALANCE_QUARANTINE_SHORT_S + 2) * S);
	ck_assert_uint_eq(balance_quarantined(balance()), 0);
	engine_stop(&engine);
}
END_TEST

/* Whoever gets a SYN within a connection doesn't take it (RFC 5961, 4): it moves nothing. */
START_TEST(syn_within_a_connection)
{
	open_one();
	send(SERVER, ACK, 0);
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t flags[] = {SYN, SYN | ACK, SYN | FIN | ACK, SYN | FIN};
		struct talk stranger = talk;

		stranger.next[CLIENT] += i * 1000;
		ck_assert_uint_eq(talk_send(&stranger, CLIENT, flags[i], 500).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(talk_send(&stranger, CLIENT, RST, 0).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_RST], 0);
		ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 1);
	}
	talk.next[CLIENT] -= 2; /* ends where the last one did */
	send(CLIENT, SYN | FIN | ACK, 0);
	ck_assert_uint_eq(balance()->farms->sched.servers[0].load, 1);
	talk_close(&talk, SERVER);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	engine_stop(&engine);
}
END_TEST

/* --- silence --- */

static void open_with_idle_timeout(uint32_t s)
{
	struct rules *rules = fixture_rules(1);

	rules->farms[0].idle_timeout_ms = s * S;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
}

/* One byte that was acknowledged before, or none, and the answer (RFC 1122, 4.2.3.6). */
START_TEST(keepalives_keep)
{
	open_with_idle_timeout(60);
	for (unsigned i = 0; i < 50; i++) {
		enum end end = i % 3 ? CLIENT : SERVER;

		engine_wait_ms(&engine, 50 * S);
		talk.next[end]--;
		send(end, ACK, i % 2);
		talk.next[end] += !(i % 2);
		if (i % 5)
			send(end_other(end), ACK, 0);
		ck_assert_uint_eq(balance_open_flows(balance()), 1);
	}
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	engine_stop(&engine);
}
END_TEST

/* A receiver that has no room for an hour: probes, each answered, until it has. */
START_TEST(zero_window_for_an_hour)
{
	open_with_idle_timeout(90);
	for (unsigned i = 0; i < 60; i++) {
		struct spec probe = next(CLIENT, ACK, 1), answer = next(SERVER, ACK, 0);

		engine_wait_ms(&engine, 60 * S);
		frames_tcp(&built, &probe);
		check_kept(WHY_FLOW_HIT);
		frames_tcp(&built, &answer);
		frames_put16(tcp() + 14, 0);
		check_kept(WHY_FLOW_HIT);
	}
	send(CLIENT, ACK, 1000);
	send(SERVER, ACK, 0);
	talk_close(&talk, CLIENT);
	ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
	engine_stop(&engine);
}
END_TEST

/* One end has no more to say, the other one goes on for hours; then says nothing for almost as long
 * as it may. */
START_TEST(half_closed_for_hours)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		open_one();
		send(end, FIN | ACK, 0);
		for (unsigned i = 0; i < 10; i++) {
			engine_wait_ms(&engine, 29 * 60 * S);
			send(end_other(end), ACK, 1000);
			send(end, ACK, 0);
			ck_assert_uint_eq(balance_open_flows(balance()), 1);
		}
		engine_wait_ms(&engine, (30 * 60 - 1) * S);
		ck_assert_uint_eq(balance_open_flows(balance()), 1);
		send(end_other(end), FIN | ACK, 10);
		send(end, ACK, 0);
		ck_assert_uint_eq(balance()->counts.ended[ENDED_FIN], 1);
		engine_stop(&engine);
	}
}
END_TEST

Suite *edges_suite(void)
{
	const TTest *const tests[] = {
	        ip_options,
	        ip_options_of_a_syn,
	        tcp_options,
	        tcp_options_of_a_syn,
	        urgent,
	        classes_and_congestion,
	        ecn_is_negotiated,
	        simultaneous_open,
	        simultaneous_close,
	        fin_before_data,
	        rst_and_fin_in_odd_orders,
	        syn_within_a_connection,
	        keepalives_keep,
	        zero_window_for_an_hour,
	        half_closed_for_hours,
	        NULL,
	};

	return suite_of("edges", tests);
}
