/*
 * A SYN and the packets of its flow, through lb_input(): act, reason, and bytes.
 */
#include "lb_fixture.h"
#include "random.h"

/* --- SYN --- */

static void check_syn(struct spec spec)
{
	struct verdict v;
	const uint8_t *ip;
	unsigned server;
	uint16_t port;

	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	ck_assert_uint_eq(v.act, LB_FORWARD);
	ck_assert_uint_lt(v.way.server, 2);
	server = v.way.server;
	ip = built.frame.data + built.l3;
	port = frames_get16(ip + 20 + spec.ip_options);
	ck_assert_uint_ge(port, 1024);
	check_forwarded(fixture_vip(), port, fixture_server(server), spec.dport);
}

START_TEST(syn_goes_to_a_server)
{
	const uint16_t services[] = {443, 444, 5060, 5061};

	begin();
	for (unsigned i = 0; i < 96; i++) {
		struct spec spec =
		        spec_syn(fixture_client(i), (uint16_t)(30000 + i), services[i % 4]);

		spec.partial = i / 4 % 2;
		spec.side = (enum side)(i / 8 % 2);
		spec.ntags = i / 16 % 3;
		spec.tpid[0] = 0x88a8;
		spec.tpid[1] = 0x8100;
		spec.ip_options = i / 48 ? 12 : 0;
		/* whatever the MAC: ours, a router's, anybody's */
		spec.dst = mac_of((uint8_t)(i % 3 + 1));
		spec.seq = (uint32_t)random_next();
		spec.flags = (uint8_t)(SYN | (i % 2 ? 0xc0 : 0)); /* with ECN's flags */
		check_syn(spec);
	}
	ck_assert_uint_eq(balance_open_flows(lb_balance(engine.lb)), 96);
	engine_stop(&engine);
}
END_TEST

START_TEST(syn_again_takes_the_same_way)
{
	struct spec spec = client_spec(SYN);
	struct built first;

	begin();
	frames_tcp(&built, &spec);
	input();
	frames_copy(&first, &built);
	for (unsigned i = 0; i < 5; i++) {
		frames_tcp(&built, &spec);
		ck_assert_uint_eq(input().why, WHY_FLOW_HIT);
		ck_assert_mem_eq(built.bytes, first.bytes, sizeof(built.bytes));
	}
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.created, 1);
	engine_stop(&engine);
}
END_TEST

START_TEST(damaged_syn_is_dropped)
{
	struct spec spec = client_spec(SYN);

	begin();
	frames_tcp(&built, &spec);
	built.frame.data[built.l4 + 21] ^= 4;
	check_why(WHY_BAD_CHECKSUM);
	/* in a capture that cut it nobody can tell */
	spec.payload = 100;
	frames_tcp(&built, &spec);
	built.frame.len -= 50;
	ck_assert_uint_eq(input().why, WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

START_TEST(syn_of_a_martian)
{
	const be32 sources[] = {ip4(0, 0, 0, 0),   ip4(0, 1, 2, 3),   ip4(127, 0, 0, 1),
	                        ip4(224, 0, 0, 1), ip4(239, 1, 1, 1), ip4(255, 255, 255, 255),
	                        fixture_vip()};

	begin();
	for (unsigned i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct spec spec = client_spec(SYN);

		spec.from = sources[i];
		frames_tcp(&built, &spec);
		check_why(WHY_MARTIAN);
	}
	struct spec spec = client_spec(SYN);
	spec.dst = FIXTURE_BROADCAST;
	frames_tcp(&built, &spec);
	check_why(WHY_MARTIAN);
	spec = client_spec(SYN);
	spec.src.b[0] |= 1;
	frames_tcp(&built, &spec);
	check_why(WHY_MARTIAN);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.created, 0);
	engine_stop(&engine);
}
END_TEST

/* --- packets of a flow --- */

START_TEST(both_ways_are_rewritten)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 64; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;
		struct spec spec = talk_spec(&talk, end, ACK, (uint16_t)(i * 20));

		spec.partial = i / 2 % 2;
		spec.ip_options = i / 4 % 2 ? 8 : 0;
		spec.tcp_options = i / 8 % 2 ? 20 : 0;
		spec.ntags = i / 16 % 2;
		spec.tpid[0] = 0x8100;
		check_hit(end, spec);
	}
	engine_stop(&engine);
}
END_TEST

/* A reply on its way out through a router is caught on either side, at any MAC. */
START_TEST(reply_is_caught_anywhere)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 8; i++) {
		struct spec spec = talk_spec(&talk, SERVER, ACK, 5);

		spec.side = (enum side)(i % 2);
		spec.dst = i / 2 == 3 ? FIXTURE_BROADCAST : mac_of((uint8_t)(i + 1));
		check_hit(SERVER, spec);
	}
	engine_stop(&engine);
}
END_TEST

/* A reply follows the client's last packet: MAC, side and tags. */
START_TEST(reply_goes_where_the_client_was_last)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 24; i++) {
		struct spec spec = talk_spec(&talk, CLIENT, ACK, 0);
		struct verdict v;

		spec.src = mac_of((uint8_t)(0x80 + i));
		spec.side = (enum side)(i % 2);
		spec.ntags = i % 3;
		spec.tpid[0] = 0x88a8;
		spec.tpid[1] = 0x8100;
		spec.tci[0] = (uint16_t)(100 + i);
		spec.tci[1] = (uint16_t)(0xe000 + i);
		check_hit(CLIENT, spec);
		v = check_hit(SERVER, talk_spec(&talk, SERVER, ACK, 0));
		ck_assert_uint_eq(v.way.side, spec.side);
		ck_assert(mac_eq(&v.way.hop.mac, &spec.src));
		ck_assert_uint_eq(v.way.hop.side, spec.side);
		ck_assert_uint_eq(v.way.hop.ntags, spec.ntags);
		for (unsigned t = 0; t < spec.ntags; t++)
			ck_assert_uint_eq(be16_get(v.way.hop.tci[t]), spec.tci[t]);
		ck_assert(spec.ntags < 1 || v.way.hop.tpid0 == TPID_8021AD);
		ck_assert(spec.ntags < 2 || v.way.hop.tpid1 == TPID_8021Q);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(damage_is_passed_on)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 200; i++) {
		enum end end = i % 2 ? CLIENT : SERVER;
		struct spec spec = talk_spec(&talk, end, ACK, 100);
		uint16_t error;

		frames_tcp(&built, &spec);
		built.frame.data[built.l4 + 20 + random_below(100)] ^=
		        (uint8_t)(1 + random_below(255));
		error = frames_tcp_error(&built);
		ck_assert_uint_ne(error, 0);
		ck_assert_uint_eq(input().why, WHY_FLOW_HIT);
		ck_assert_uint_eq(frames_tcp_error(&built), error);
		ck_assert_uint_eq(frames_ip_error(&built), 0);
		/* and of the IPv4 header */
		frames_tcp(&built, &spec);
		built.frame.data[built.l3 + 5] ^= 0x40;
		error = frames_ip_error(&built);
		ck_assert_uint_eq(input().why, WHY_FLOW_HIT);
		ck_assert_uint_eq(frames_ip_error(&built), error);
		ck_assert_uint_eq(frames_tcp_error(&built), 0);
	}
	engine_stop(&engine);
}
END_TEST

/* A capture that kept only the headers. */
START_TEST(cut_packets_are_rewritten)
{
	struct spec spec;

	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	spec = talk_spec(&talk, CLIENT, ACK, 1000);
	frames_tcp(&built, &spec);
	built.frame.len = built.l4 + 20;
	ck_assert_uint_eq(input().why, WHY_FLOW_HIT);
	/* the bytes beyond are still there in this test, so that the sums can be looked at */
	ck_assert_uint_eq(frames_tcp_error(&built), 0);
	for (uint32_t len = built.l3 + 20; len < built.l4 + 20; len++) {
		frames_tcp(&built, &spec);
		built.frame.len = len;
		check_why(WHY_TCP_MALFORMED);
	}
	engine_stop(&engine);
}
END_TEST

/* A server connects to the VIP, and to itself: both ends are inside. */
START_TEST(hairpin)
{
	bool itself = false, other = false;

	begin();
	for (unsigned i = 0; i < 8; i++) {
		struct spec spec = spec_syn(fixture_server(0), (uint16_t)(50000 + i), 5061);
		struct verdict v;
		uint16_t port;

		spec.side = INSIDE;
		spec.src = engine.rules->servers[0].mac;
		spec.dst = FIXTURE_INSIDE_MAC;
		frames_tcp(&built, &spec);
		v = input();
		ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
		itself |= v.way.server == 0;
		other |= v.way.server == 1;
		port = frames_get16(built.frame.data + built.l4);
		check_forwarded(fixture_vip(), port, fixture_server(v.way.server), 5061);
		/* the answer: not taken for the client's */
		spec = (struct spec){.dst = FIXTURE_INSIDE_MAC,
		                     .src = engine.rules->servers[v.way.server].mac,
		                     .side = INSIDE,
		                     .from = fixture_server(v.way.server),
		                     .to = fixture_vip(),
		                     .sport = 5061,
		                     .dport = port,
		                     .flags = SYN | ACK};
		frames_tcp(&built, &spec);
		v = input();
		ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
		ck_assert_uint_eq(v.way.server, SERVER_NONE);
		ck_assert_uint_eq(v.way.side, INSIDE);
		ck_assert(mac_eq(&v.way.hop.mac, &engine.rules->servers[0].mac));
		check_forwarded(fixture_vip(), 5061, fixture_server(0), (uint16_t)(50000 + i));
	}
	ck_assert(itself && other);
	engine_stop(&engine);
}
END_TEST

Suite *lb_flow_suite(void)
{
	const TTest *const tests[] = {
	        syn_goes_to_a_server,
	        syn_again_takes_the_same_way,
	        damaged_syn_is_dropped,
	        syn_of_a_martian,
	        both_ways_are_rewritten,
	        reply_is_caught_anywhere,
	        reply_goes_where_the_client_was_last,
	        damage_is_passed_on,
	        cut_packets_are_rewritten,
	        hairpin,
	        NULL,
	};

	return suite_of("lb_flow", tests);
}
