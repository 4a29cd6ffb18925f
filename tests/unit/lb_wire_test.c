/*
 * What is a cable for lb_input(), and ARP: act, reason, and bytes.
 */
#include "lb_fixture.h"

/* --- not addressed to us: a cable --- */

START_TEST(wire_passes_anything)
{
	const struct mac macs[] = {
	        FIXTURE_BROADCAST, mac_of(7), {{1, 0x80, 0xc2, 0, 0, 0}}, {{1, 0, 0x5e, 0, 0, 1}}};
	const uint16_t ethertypes[] = {0,      0x0027, 0x0800, 0x0806, 0x86dd,
	                               0x88cc, 0x8847, 0x8100, 0xffff};

	begin();
	for (unsigned m = 0; m < 4; m++) {
		for (unsigned e = 0; e < 9; e++) {
			for (unsigned tags = 0; tags < 4; tags++) {
				struct spec spec = {.dst = macs[m],
				                    .src = mac_of(8),
				                    .payload = 1400,
				                    .side = tags % 2 ? INSIDE : OUTSIDE,
				                    .ntags = tags,
				                    .tpid = {0x88a8, 0x8100, 0x8100}};

				frames_ether(&built, &spec, ethertypes[e]);
				check_bridged();
			}
		}
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(wire_passes_short_frames)
{
	struct spec spec = client_spec(SYN);

	begin();
	for (uint32_t len = 0; len < 34; len++) {
		frames_tcp(&built, &spec);
		built.frame.len = built.frame.wire_len = len;
		/* our own MACs, the destination's here, count from 14 bytes on */
		check_why(len >= 14 ? WHY_TO_HOST : WHY_NOT_OURS);
	}
	engine_stop(&engine);
}
END_TEST

/* Straight to a server, between servers, and malformed but not for us. */
START_TEST(wire_passes_ipv4_of_others)
{
	struct spec spec = client_spec(SYN);

	begin();
	spec.dst = mac_of(7);
	spec.to = fixture_server(0);
	frames_tcp(&built, &spec);
	check_bridged();
	spec.side = INSIDE;
	spec.from = fixture_server(0);
	spec.to = fixture_server(1);
	frames_tcp(&built, &spec);
	check_bridged();
	built.frame.data[built.l3] = 0x41;
	check_bridged();
	frames_put16(built.frame.data + built.l3 + 2, 0xffff);
	check_bridged();
	/* from a VIP, but not to one */
	spec.from = fixture_vip();
	frames_tcp(&built, &spec);
	check_bridged();
	/* version 6 in an IPv4 frame to the VIP */
	spec = client_spec(SYN);
	spec.dst = mac_of(7);
	frames_tcp(&built, &spec);
	built.frame.data[built.l3] = 0x65;
	check_bridged();
	engine_stop(&engine);
}
END_TEST

START_TEST(loop_is_dropped)
{
	const struct mac own[] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};

	begin();
	for (unsigned i = 0; i < 4; i++) {
		struct spec spec = client_spec(SYN);

		spec.src = own[i % 2];
		spec.side = (enum side)(i / 2);
		frames_tcp(&built, &spec);
		check_why(WHY_LOOP);
		spec.arp_oper = 1;
		frames_arp(&built, &spec);
		check_why(WHY_LOOP);
		spec.to = ip4(9, 9, 9, 9);
		frames_tcp(&built, &spec);
		check_why(WHY_LOOP);
	}
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.created, 0);
	engine_stop(&engine);
}
END_TEST

START_TEST(port_with_another_mac)
{
	const struct mac mac = {{2, 0, 0, 0, 1, 99}};
	struct spec spec = client_spec(SYN);

	begin();
	lb_set_mac(engine.lb, OUTSIDE, &mac);
	spec.to = ip4(9, 9, 9, 9);
	spec.src = mac;
	frames_tcp(&built, &spec);
	check_why(WHY_LOOP);
	spec.src = FIXTURE_INSIDE_MAC;
	frames_tcp(&built, &spec);
	check_why(WHY_LOOP);
	spec.src = FIXTURE_OUTSIDE_MAC;
	frames_tcp(&built, &spec);
	check_why(WHY_NOT_OURS);
	engine_stop(&engine);
}
END_TEST

START_TEST(host_gets_its_own)
{
	struct spec spec = client_spec(SYN);

	begin();
	spec.to = ip4(10, 0, 0, 1);
	frames_tcp(&built, &spec);
	check_why(WHY_TO_HOST);
	spec.dst = FIXTURE_INSIDE_MAC;
	frames_ether(&built, &spec, 0x86dd);
	check_why(WHY_TO_HOST);
	spec.arp_oper = 1;
	frames_arp(&built, &spec);
	check_why(WHY_TO_HOST);
	spec.dst = FIXTURE_BROADCAST;
	frames_arp(&built, &spec);
	check_bridged();
	engine_stop(&engine);
}
END_TEST

/* --- ARP --- */

static void check_arp_answer(const struct spec *spec)
{
	struct verdict v;

	frames_arp(&built, spec);
	v = check_why(WHY_ARP_REPLY);
	ck_assert_uint_eq(v.act, LB_ANSWER);
	ck_assert_uint_eq(v.way.side, spec->side);
	ck_assert_uint_eq(v.own.kind, OWN_ARP_REPLY);
	ck_assert(be32_eq(v.own.tuple.src, spec->to));
	ck_assert(be32_eq(v.own.tuple.dst, spec->from));
	ck_assert(mac_eq(&v.own.to.mac, &spec->arp_sender));
	ck_assert_uint_eq(v.own.to.side, spec->side);
	ck_assert_uint_eq(v.own.to.ntags, spec->ntags);
	for (unsigned i = 0; i < spec->ntags; i++)
		ck_assert_uint_eq(be16_get(v.own.to.tci[i]), spec->tci[i]);
}

START_TEST(arp_request_is_answered)
{
	const be32 addresses[] = {fixture_vip(), ip4(10, 0, 0, 50)};
	struct rules *rules = fixture_rules(2);

	fixture_set_snat(&rules->farms[0], addresses, 2);
	engine_start(&engine, rules);
	for (unsigned i = 0; i < 12; i++) {
		struct spec spec = arp_spec(1);

		spec.side = (enum side)(i % 2);
		spec.to = addresses[i / 2 % 2];
		spec.arp_sender = mac_of(0x77);
		spec.ntags = i / 4;
		spec.tpid[0] = i / 4 == 2 ? 0x88a8 : 0x8100;
		spec.tpid[1] = 0x8100;
		spec.tci[0] = 0x6123;
		spec.tci[1] = 0x0456;
		check_arp_answer(&spec);
		/* asked at one of our MACs, as a cache does that checks an entry (RFC
		 * 1122, 2.3.2.1) */
		spec.dst = spec.side == OUTSIDE ? FIXTURE_OUTSIDE_MAC : FIXTURE_INSIDE_MAC;
		check_arp_answer(&spec);
		/* RFC 5227: a probe for our address */
		spec.from = ip4(0, 0, 0, 0);
		check_arp_answer(&spec);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(arp_reply_of_a_server_is_noted)
{
	struct spec spec = arp_spec(2);
	struct verdict v;

	begin();
	spec.side = INSIDE;
	spec.from = fixture_server(1);
	spec.arp_sender = mac_of(0x55);
	spec.ntags = 1;
	spec.tpid[0] = 0x8100;
	spec.tci[0] = 7;
	frames_arp(&built, &spec);
	v = check_why(WHY_ARP_LEARNED);
	ck_assert(v.sighted && !v.conflict);
	ck_assert(be32_eq(v.sighting.ip, spec.from));
	ck_assert(mac_eq(&v.sighting.hop.mac, &spec.arp_sender));
	ck_assert_uint_eq(v.sighting.hop.side, INSIDE);
	ck_assert_uint_eq(v.sighting.hop.ntags, 1);
	/* on its way to somebody else: noted as well, and passed on */
	spec.to = ip4(10, 0, 0, 1);
	spec.arp_oper = 1;
	frames_arp(&built, &spec);
	v = check_why(WHY_NOT_OURS);
	ck_assert(v.sighted);
	/* a stranger */
	spec.from = ip4(10, 0, 0, 200);
	frames_arp(&built, &spec);
	v = check_why(WHY_NOT_OURS);
	ck_assert(!v.sighted && !v.conflict);
	engine_stop(&engine);
}
END_TEST

START_TEST(arp_conflict_is_told)
{
	struct spec spec = arp_spec(2);
	struct verdict v;

	begin();
	spec.from = fixture_vip();
	frames_arp(&built, &spec);
	v = check_why(WHY_ARP_CONFLICT);
	ck_assert(v.conflict);
	spec.arp_oper = 1; /* a gratuitous request: answered, so that the others stay with us */
	frames_arp(&built, &spec);
	v = check_why(WHY_ARP_REPLY);
	ck_assert(v.conflict);
	spec.to = ip4(10, 0, 0, 1);
	frames_arp(&built, &spec);
	v = check_why(WHY_NOT_OURS);
	ck_assert(v.conflict);
	engine_stop(&engine);
}
END_TEST

START_TEST(arp_of_another_kind)
{
	struct spec spec = arp_spec(3);

	begin();
	frames_arp(&built, &spec);
	check_why(WHY_ARP_OTHER);
	spec.arp_oper = 1;
	frames_arp(&built, &spec);
	built.frame.data[built.l3 + 1] = 6; /* not Ethernet: no ARP for us, but for somebody */
	check_bridged();
	engine_stop(&engine);
}
END_TEST

START_TEST(arp_of_a_group_mac)
{
	struct spec spec = arp_spec(1);

	begin();
	spec.arp_sender = FIXTURE_BROADCAST;
	frames_arp(&built, &spec);
	ck_assert_uint_eq(input().act, LB_DROP);
	engine_stop(&engine);
}
END_TEST

Suite *lb_wire_suite(void)
{
	const TTest *const tests[] = {
	        wire_passes_anything,       wire_passes_short_frames,
	        wire_passes_ipv4_of_others, loop_is_dropped,
	        port_with_another_mac,      host_gets_its_own,
	        arp_request_is_answered,    arp_reply_of_a_server_is_noted,
	        arp_conflict_is_told,       arp_of_another_kind,
	        arp_of_a_group_mac,         NULL,
	};

	return suite_of("lb_wire", tests);
}
