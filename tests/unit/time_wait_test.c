/*
 * Ports that are used again while the server may have the old connection in TIME_WAIT.
 */
#include "judge_fixture.h"

static struct talk second;

/* A SYN with that timestamp, or none if it is 0. */
static struct verdict stamped(struct talk *ret, uint32_t seq, uint32_t stamp, uint8_t flags)
{
	struct spec spec = flags == SYN ? spec_syn(fixture_client(1), 40000, 443)
	                                : talk_spec(&talk, CLIENT, flags, 0);
	struct verdict v;

	spec.tcp_options = 12;
	spec.seq = seq;
	frames_tcp(&built, &spec);
	if (stamp) {
		uint8_t *option = built.frame.data + built.l4 + 20;

		memset(option, 1, 12);
		option[2] = 8;
		option[3] = 10;
		frames_put32(option + 4, stamp);
		frames_fix(&built);
	}
	v = engine_input(&engine, &built);
	if (v.act == LB_FORWARD && ret)
		ret->snat_port = frames_get16(built.frame.data + built.l4);
	return v;
}

/*
 * A port is used again, and the same SNAT port if a server in TIME_WAIT would take that (RFC 6191).
 */
START_TEST(port_used_again_into_time_wait)
{
	static const struct {
		uint32_t before, fin, after; /* timestamps */
		int seq;                     /* what comes next, and this */
		bool same;
	} cases[] = {
	        {0, 0, 0, 1, true},          {0, 0, 0, 0, false},     {0, 0, 0, -1000, false},
	        {10, 20, 21, -1000, true},   {10, 20, 20, 0, false},  {10, 20, 20, 1, true},
	        {10, 20, 19, 100000, false}, {10, 20, 0, 1, true},    {0, 0, 20, -5, false},
	        {10, 0, 11, -1000, true},    {10, 0, 9, 1000, false}, {0xffffffff, 0, 3, -9, true},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t next;

		engine_start(&engine, fixture_rules(1));
		talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
		engine_stop(&engine);
		engine_start(&engine, fixture_rules(1));
		ck_assert_uint_eq(stamped(&talk, talk.next[CLIENT] - 1, cases[i].before, SYN).why,
		                  WHY_FLOW_NEW);
		talk.engine = &engine;
		talk_send(&talk, SERVER, SYN | ACK, 0);
		talk_send(&talk, CLIENT, ACK, 0);
		talk_send(&talk, SERVER, FIN | ACK, 0);
		stamped(NULL, talk.next[CLIENT]++, cases[i].fin, FIN | ACK);
		talk_send(&talk, SERVER, ACK, 0);
		ck_assert_uint_eq(balance_quarantined(balance()), 1);
		next = talk.next[CLIENT] + (uint32_t)cases[i].seq;
		second = talk;
		ck_assert_uint_eq(stamped(&second, next, cases[i].after, SYN).why, WHY_FLOW_NEW);
		ck_assert_msg((second.snat_port == talk.snat_port) == cases[i].same, "case %u", i);
		engine_stop(&engine);
	}
}
END_TEST

/* A client whose clock begins anew with him: what counts then is the timestamp of his new SYN. */
START_TEST(timestamps_begin_anew)
{
	engine_start(&engine, fixture_rules(1));
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	engine_stop(&engine);
	engine_start(&engine, fixture_rules(1));
	stamped(&talk, talk.next[CLIENT] - 1, 1000000, SYN);
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk_send(&talk, CLIENT, ACK, 0);
	talk.next[CLIENT] = 3000000000;
	stamped(NULL, talk.next[CLIENT]++, 5000, SYN);
	talk.next[SERVER] = 1500000000;
	talk_send(&talk, SERVER, SYN | ACK, 0);
	talk_send(&talk, CLIENT, ACK, 0);
	talk_send(&talk, CLIENT, RST, 0);
	ck_assert_uint_eq(flow()->state, FLOW_RESET);
	second = talk;
	ck_assert_uint_eq(stamped(&second, talk.next[CLIENT] - 10, 6000, SYN).why, WHY_FLOW_NEW);
	ck_assert_uint_eq(second.snat_port, talk.snat_port);
	engine_stop(&engine);
}
END_TEST

Suite *time_wait_suite(void)
{
	return suite_of("time_wait", (const TTest *const[]){
	                                     port_used_again_into_time_wait,
	                                     timestamps_begin_anew,
	                                     NULL,
	                             });
}
