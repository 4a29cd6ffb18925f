/*
 * What is noted of a flow only follows from what its numbers bear out: not from strangers, damage,
 * or SYNs that nobody has answered.
 */
#include "judge_fixture.h"

/* With each number on its own, and both: what is far away, and what is a megabyte old. */
START_TEST(stranger_changes_nothing)
{
	static const uint32_t off[] = {0x12345678, 0x80000000, 1u << 20, 1u << 24};
	const uint32_t back = 1u << 20;

	begin();
	for (unsigned i = 0; i < 3 * (sizeof(off) / sizeof(*off)); i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);

		spec.seq += i % 3 != 1 ? off[i / 3] : 0;
		spec.ack += i % 3 != 0 ? off[i / 3] : 0;
		check_stray(&spec);
		spec = from_elsewhere(CLIENT, ACK);
		spec.seq -= i % 3 != 1 ? back : 0;
		spec.ack -= i % 3 != 0 ? back : 0;
		check_stray(&spec);
	}
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Whatever flags it has. */
START_TEST(stranger_of_any_flags_changes_nothing)
{
	static const uint8_t flags[] = {0, FIN, SYN, RST, FIN | ACK, SYN | ACK, RST | ACK, 0x08};

	begin();
	for (unsigned i = 0; i < sizeof(flags); i++)
		for (enum end end = CLIENT; end <= SERVER; end++) {
			struct spec spec = from_elsewhere(end, flags[i]);

			spec.seq += 0x12345678;
			spec.ack -= 0x12345678;
			spec.ntags = i & 1;
			spec.tpid[0] = 0x8100;
			spec.tci[0] = 99;
			spec.side = i & 2 ? INSIDE : OUTSIDE;
			check_stray(&spec);
		}
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Right in everything but the checksum, of TCP or of IP; and from where the client always was, what
 * begins beyond what has been sent. */
START_TEST(damaged_changes_nothing)
{
	begin();
	for (unsigned i = 0; i < 3; i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);
		struct flow before = *flow();

		spec.payload = 10;
		if (i == 2) {
			spec.src = HOME;
			spec.seq += 10;
		}
		frames_tcp(&built, &spec);
		built.frame.data[i == 1 ? built.l3 + 8 : built.l4 + 16] ^= 4;
		engine_wait_ms(&engine, 500);
		ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
		ck_assert_uint_eq(flow()->last, before.last);
		ck_assert(memcmp(flow()->next_seq, before.next_seq, sizeof(before.next_seq)) == 0);
		ck_assert(is_at(HOME));
	}
	engine_stop(&engine);
}
END_TEST

/* A partial checksum is none to be judged (offloaded traffic of this host). */
START_TEST(partial_is_not_damaged)
{
	struct spec spec;

	begin();
	spec = from_elsewhere(CLIENT, ACK);
	spec.partial = true;
	pass(&spec);
	ck_assert(is_at(ELSEWHERE));
	engine_stop(&engine);
}
END_TEST

/* A client whose router has changed is followed by whatever it says next. */
START_TEST(client_that_moves_is_followed)
{
	/*
	 * new data, a keep-alive, a repetition of what was acknowledged, of which it hasn't heard
	 */
	static const int seqs[] = {0, -1, -100};
	static const uint16_t payloads[] = {50, 0, 100};

	for (unsigned i = 0; i < 3; i++) {
		struct spec spec;

		begin();
		talk_send(&talk, SERVER, ACK, 0);
		spec = from_elsewhere(CLIENT, ACK);
		spec.seq += (uint32_t)seqs[i];
		spec.payload = payloads[i];
		pass(&spec);
		ck_assert(is_at(ELSEWHERE));
		engine_stop(&engine);
	}
}
END_TEST

/* The same of one that acknowledges no more than what it had before: it hears nothing any more. */
START_TEST(client_that_moves_deaf_is_followed)
{
	struct spec spec;

	begin();
	talk_send(&talk, CLIENT, ACK, 0);
	spec = from_elsewhere(CLIENT, ACK);
	for (unsigned i = 0; i < 20; i++)
		talk_send(&talk, SERVER, ACK, 1000);
	spec.payload = 100;
	pass(&spec);
	ck_assert(is_at(ELSEWHERE));
	engine_stop(&engine);
}
END_TEST

/* What has been overtaken doesn't move it back. */
START_TEST(late_segment_moves_nobody_back)
{
	struct spec late;

	begin();
	late = talk_spec(&talk, CLIENT, ACK, 0);
	late.ack -= 200;
	talk_send(&talk, CLIENT, ACK, 0);
	late.src = ELSEWHERE;
	check_stray(&late);
	ck_assert(is_at(HOME));
	engine_stop(&engine);
}
END_TEST

/* Garbage is no life: the flow expires as if it hadn't come. */
START_TEST(garbage_keeps_no_flow)
{
	struct spec spec;
	uint64_t idle;

	begin();
	idle = engine.rules->farms[0].idle_timeout_ms;
	spec = from_elsewhere(CLIENT, ACK);
	spec.seq += 0x12345678;
	for (uint64_t ms = 0; ms < idle + 2 * S; ms += idle / 10) {
		pass(&spec);
		engine_wait_ms(&engine, idle / 10);
	}
	ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], 1);
	engine_stop(&engine);
}
END_TEST

/* ---- the handshake ---- */

/* A stranger's SYN before the server's answer: that goes to the client, and opens. */
START_TEST(stranger_s_syn_while_half_open)
{
	struct spec spec;

	begin_half_open();
	spec = from_elsewhere(CLIENT, SYN);
	spec.seq += 0x12345678;
	pass(&spec);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	ck_assert(is_at(HOME));
	talk_send(&talk, CLIENT, ACK, 0);
	ck_assert_uint_eq(flow()->state, FLOW_OPEN);
	engine_stop(&engine);
}
END_TEST

/* The server's first answer counts for life, its repetitions don't; the client's SYNs do. */
START_TEST(what_prolongs_a_half_open_flow)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		struct spec spec;

		begin_half_open();
		talk_send(&talk, SERVER, SYN | ACK, 0);
		spec = talk_spec(&talk, end, end == CLIENT ? SYN : SYN | ACK, 0);
		spec.seq--;
		for (unsigned ms = 0; ms < HALF_OPEN_MS + 2 * S; ms += 4 * S) {
			pass(&spec);
			engine_wait_ms(&engine, 4 * S);
		}
		ck_assert_uint_eq(balance()->counts.ended[ENDED_IDLE], end == SERVER);
		engine_stop(&engine);
	}
}
END_TEST

/*
 * What isn't the client's acknowledgment of the server's SYN, in the first window, opens nothing.
 */
START_TEST(stranger_opens_nothing)
{
	static const int64_t seqs[] = {0, 0, 0, 65536 + 1, -2}, acks[] = {-1, 1, 0x12345678, 0, 0};

	begin_half_open();
	talk_send(&talk, SERVER, SYN | ACK, 0);
	for (unsigned i = 0; i < 5; i++) {
		struct spec spec = from_elsewhere(CLIENT, ACK);

		spec.seq += (uint32_t)seqs[i];
		spec.ack += (uint32_t)acks[i];
		check_stray(&spec);
	}
	ck_assert_uint_eq(flow()->state, FLOW_HALF_OPEN);
	engine_stop(&engine);
}
END_TEST

/* ---- another VLAN ---- */

/* Without `vlan` the VIP is in all of them, and a client's address and port can be in one. */
START_TEST(second_client_in_another_vlan_is_refused)
{
	struct spec spec = syn_again(ELSEWHERE);

	begin();
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_OTHER_VLAN);
	ck_assert_uint_eq(balance()->counts.refused, 1);
	ck_assert(is_at(HOME));
	talk_close(&talk, CLIENT);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* Of the same VLAN whatever the priority (IEEE 802.1Q, PCP). */
START_TEST(priority_is_no_vlan)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	engine_start(&engine, fixture_rules(1));
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	talk_syn_from(&talk, &engine, &spec);
	spec.tci[0] = 5 << 13 | 7;
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(engine_input(&engine, &built).why, WHY_FLOW_HIT);
	engine_stop(&engine);
}
END_TEST

Suite *judge_suite(void)
{
	const TTest *const tests[] = {
	        stranger_changes_nothing,
	        stranger_of_any_flags_changes_nothing,
	        damaged_changes_nothing,
	        partial_is_not_damaged,
	        client_that_moves_is_followed,
	        client_that_moves_deaf_is_followed,
	        late_segment_moves_nobody_back,
	        garbage_keeps_no_flow,
	        stranger_s_syn_while_half_open,
	        what_prolongs_a_half_open_flow,
	        stranger_opens_nothing,
	        second_client_in_another_vlan_is_refused,
	        priority_is_no_vlan,
	        NULL,
	};

	return suite_of("judge", tests);
}
