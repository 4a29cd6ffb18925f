/*
 * To one of our addresses, but no TCP that can be balanced: ICMP, other protocols, fragments, what
 * is malformed.
 */
#include "lb_fixture.h"

/* --- ICMP and others --- */

START_TEST(echo_is_answered)
{
	begin();
	for (unsigned i = 0; i < 6; i++) {
		struct spec spec = icmp_spec();
		struct verdict v;

		spec.side = (enum side)(i % 2);
		spec.ntags = i / 2;
		spec.tpid[0] = spec.tpid[1] = 0x8100;
		spec.payload = (uint16_t)(i * 31);
		frames_icmp(&built, &spec);
		v = check_why(WHY_ECHO_REPLY);
		ck_assert_uint_eq(v.own.kind, OWN_ECHO_REPLY);
		ck_assert_uint_eq(v.way.side, spec.side);
		ck_assert_uint_eq(v.own.l4, built.l4);
		ck_assert_uint_eq(v.own.l4_len, 8u + spec.payload);
		ck_assert(be32_eq(v.own.tuple.src, fixture_vip()));
		ck_assert(be32_eq(v.own.tuple.dst, spec.from));
		ck_assert(mac_eq(&v.own.to.mac, &spec.src));
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(echo_needs_a_server_that_is_up)
{
	struct spec spec = icmp_spec();

	begin();
	engine.rules->servers[0].state = engine.rules->servers[1].state = STATE_DRAIN;
	frames_icmp(&built, &spec);
	check_why(WHY_ECHO_NO_SERVER);
	engine_stop(&engine);
}
END_TEST

START_TEST(echo_that_is_damaged_or_cut)
{
	struct spec spec = icmp_spec();

	begin();
	frames_icmp(&built, &spec);
	built.frame.data[built.l4 + 20] ^= 1;
	check_why(WHY_BAD_CHECKSUM);
	frames_icmp(&built, &spec);
	built.frame.len--;
	check_why(WHY_ICMP_OTHER);
	engine_stop(&engine);
}
END_TEST

START_TEST(echo_from_a_martian)
{
	const be32 sources[] = {ip4(0, 0, 0, 0), ip4(127, 0, 0, 1), ip4(224, 0, 0, 1),
	                        ip4(255, 255, 255, 255), fixture_vip()};
	struct spec spec = icmp_spec();

	begin();
	for (unsigned i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		spec.from = sources[i];
		frames_icmp(&built, &spec);
		check_why(WHY_MARTIAN);
	}
	spec = icmp_spec();
	spec.src = FIXTURE_BROADCAST;
	frames_icmp(&built, &spec);
	check_why(WHY_MARTIAN);
	engine_stop(&engine);
}
END_TEST

START_TEST(other_icmp_is_dropped)
{
	begin();
	for (unsigned type = 0; type < 256; type++) {
		struct spec spec = icmp_spec();

		spec.icmp_type = (uint8_t)type;
		spec.icmp_code = type == 8;
		frames_icmp(&built, &spec);
		ck_assert_uint_eq(input().act, LB_DROP);
		check_untouched();
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(other_protocols_are_dropped)
{
	begin();
	for (unsigned protocol = 0; protocol < 256; protocol++) {
		struct spec spec = client_spec(0);

		if (protocol == 1 || protocol == 6)
			continue;
		spec.protocol = (uint8_t)protocol;
		spec.payload = 40;
		frames_ipv4(&built, &spec);
		check_why(WHY_PROTOCOL_NOT_SERVED);
	}
	engine_stop(&engine);
}
END_TEST

/*
 * Of no connection that is known: only what may follow a first fragment that is yet to come waits.
 */
START_TEST(unmatched_fragments_go_nowhere)
{
	const uint16_t fields[] = {0x2000, 0x2001, 0x0001, 0x1fff, 0x6010};
	const uint8_t protocols[] = {1, 6, 17};

	begin();
	for (unsigned i = 0; i < 15; i++) {
		struct spec spec = client_spec(0);

		spec.protocol = protocols[i / 5];
		spec.fragment = fields[i % 5];
		spec.payload = 64;
		frames_ipv4(&built, &spec);
		if (spec.protocol == 6 && spec.fragment == 0x6010)
			ck_assert_uint_eq(input().why, WHY_FRAGMENT_HELD);
		else
			ck_assert_uint_eq(input().act, LB_DROP);
		check_untouched();
	}
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.created, 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(malformed_ip)
{
	struct spec spec = client_spec(SYN);
	uint8_t *ip;

	begin();
	for (unsigned ihl = 0; ihl < 5; ihl++) {
		frames_tcp(&built, &spec);
		built.frame.data[built.l3] = (uint8_t)(0x40 + ihl);
		check_why(WHY_IP_MALFORMED);
	}
	for (unsigned total = 0; total < 20; total++) {
		frames_tcp(&built, &spec);
		frames_put16(built.frame.data + built.l3 + 2, (uint16_t)total);
		check_why(WHY_IP_MALFORMED);
	}
	frames_tcp(&built, &spec);
	ip = built.frame.data + built.l3;
	frames_put16(ip + 2, (uint16_t)(frames_get16(ip + 2) + 1));
	check_why(WHY_IP_MALFORMED);
	/* options that the packet doesn't hold */
	frames_tcp(&built, &spec);
	built.frame.data[built.l3] = 0x4f;
	frames_put16(built.frame.data + built.l3 + 2, 59);
	check_why(WHY_IP_MALFORMED);
	engine_stop(&engine);
}
END_TEST

START_TEST(malformed_tcp)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned offset = 0; offset < 16; offset++) {
		struct spec spec = talk_spec(&talk, CLIENT, ACK, 0);

		spec.tcp_options = 0;
		frames_tcp(&built, &spec);
		built.frame.data[built.l4 + 12] = (uint8_t)(offset << 4);
		if (offset == 5)
			ck_assert_uint_eq(input().why, WHY_FLOW_HIT);
		else
			check_why(WHY_TCP_MALFORMED);
	}
	for (uint16_t l4_len = 0; l4_len < 20; l4_len++) {
		struct spec spec = client_spec(SYN);

		frames_tcp(&built, &spec);
		frames_put16(built.frame.data + built.l3 + 2, (uint16_t)(20 + l4_len));
		check_why(WHY_TCP_MALFORMED);
	}
	engine_stop(&engine);
}
END_TEST

Suite *lb_others_suite(void)
{
	const TTest *const tests[] = {
	        echo_is_answered,
	        echo_needs_a_server_that_is_up,
	        echo_that_is_damaged_or_cut,
	        echo_from_a_martian,
	        other_icmp_is_dropped,
	        other_protocols_are_dropped,
	        unmatched_fragments_go_nowhere,
	        malformed_ip,
	        malformed_tcp,
	        NULL,
	};

	return suite_of("lb_others", tests);
}
