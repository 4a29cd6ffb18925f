/*
 * Each row of what happens to a frame, through lb_input(): act, reason, and bytes.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000 };

static struct engine engine;
static struct talk talk;
static struct built built, before;

static void begin(void)
{
	engine_start(&engine, fixture_rules(2));
}

/* Passes built in, remembering it as it was. */
static struct verdict input(void)
{
	frames_copy(&before, &built);
	return engine_input(&engine, &built);
}

static void check_untouched(void)
{
	ck_assert_mem_eq(built.bytes, before.bytes, sizeof(built.bytes));
	ck_assert_uint_eq(built.frame.len, before.frame.len);
	ck_assert_ptr_eq(built.frame.data, built.bytes + FRAME_HEADROOM);
}

/* Passes built in: it must be dropped, bridged or answered for that reason, and stay as it was. */
static struct verdict check_why(enum lb_why why)
{
	struct verdict v = input();

	if (v.why != why)
		ck_abort_msg("%s, not %s", lb_why_name((enum lb_why)v.why), lb_why_name(why));
	check_untouched();
	return v;
}

static void check_bridged(void)
{
	struct verdict v = check_why(WHY_NOT_OURS);

	ck_assert_uint_eq(v.act, LB_BRIDGE);
	ck_assert_uint_eq(v.way.side, way_across((enum side)built.frame.side));
}

/* What forwarding has made of built. */
static void check_forwarded(be32 from, uint16_t sport, be32 to, uint16_t dport)
{
	const uint8_t *ip = built.frame.data + built.l3, *tcp = built.frame.data + built.l4;
	struct built want;

	ck_assert_mem_eq(ip + 12, &from, 4);
	ck_assert_mem_eq(ip + 16, &to, 4);
	ck_assert_uint_eq(frames_get16(tcp), sport);
	ck_assert_uint_eq(frames_get16(tcp + 2), dport);
	ck_assert_uint_eq(frames_ip_error(&built), frames_ip_error(&before));
	ck_assert_uint_eq(frames_tcp_error(&built), frames_tcp_error(&before));
	frames_copy(&want, &built);
	memcpy(want.frame.data + want.l3 + 10, before.frame.data + before.l3 + 10, 10);
	memcpy(want.frame.data + want.l4, before.frame.data + before.l4, 4);
	memcpy(want.frame.data + want.l4 + 16, before.frame.data + before.l4 + 16, 2);
	ck_assert_mem_eq(want.bytes, before.bytes, sizeof(want.bytes));
}

static struct spec client_spec(uint8_t flags)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);

	spec.flags = flags;
	return spec;
}

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

static struct spec arp_spec(uint16_t oper)
{
	return (struct spec){
	        .dst = FIXTURE_BROADCAST,
	        .src = FIXTURE_CLIENT_MAC,
	        .from = fixture_client(1),
	        .to = fixture_vip(),
	        .arp_oper = oper,
	        .payload = 18,
	};
}

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

/* A mirror or a loop may give our own address back, from another source. */
START_TEST(nobody_is_where_no_host_can_be)
{
	const struct mac nowhere[] = {FIXTURE_OUTSIDE_MAC,
	                              FIXTURE_INSIDE_MAC,
	                              {{0}},
	                              {{1, 0, 0x5e, 0, 0, 1}},
	                              {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
	struct spec spec = arp_spec(2);
	struct verdict v;

	begin();
	spec.side = INSIDE;
	spec.from = fixture_server(1);
	spec.to = ip4(10, 0, 0, 1);
	for (unsigned i = 0; i < 2 * (sizeof(nowhere) / sizeof(nowhere[0])); i++) {
		spec.arp_oper = 1 + (uint16_t)(i % 2);
		frames_arp(&built, &spec);
		memcpy(built.frame.data + ETH_HEADER_BYTES + 8, &nowhere[i / 2], 6);
		v = check_why(WHY_NOT_OURS);
		ck_assert(!v.sighted && !v.heard);
	}
	spec.arp_sender = mac_of(0x55);
	frames_arp(&built, &spec);
	v = check_why(WHY_NOT_OURS);
	ck_assert(v.sighted && v.heard);
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

/* Sends from an end, and checks what the other one gets, and where it goes. */
static struct verdict check_hit(enum end end, struct spec spec)
{
	struct verdict v;

	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	ck_assert_uint_eq(v.act, LB_FORWARD);
	if (end == CLIENT) {
		ck_assert_uint_eq(v.way.server, talk.server);
		check_forwarded(talk.snat, talk.snat_port, fixture_server(talk.server), talk.dport);
	} else {
		ck_assert_uint_eq(v.way.server, SERVER_NONE);
		check_forwarded(fixture_vip(), talk.dport, talk.client, talk.sport);
	}
	return v;
}

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

/* --- RSTs --- */

static void check_rst(enum lb_why why, struct spec spec)
{
	struct verdict v;

	frames_tcp(&built, &spec);
	v = check_why(why);
	ck_assert_uint_eq(v.act, LB_ANSWER);
	ck_assert_uint_eq(v.way.side, spec.side);
	ck_assert_uint_eq(v.own.kind, OWN_TCP);
	ck_assert(mac_eq(&v.own.to.mac, &spec.src));
	ck_assert_uint_eq(v.own.to.ntags, spec.ntags);
	ck_assert(be32_eq(v.own.tuple.src, spec.to) && be32_eq(v.own.tuple.dst, spec.from));
	ck_assert_uint_eq(be16_get(v.own.tuple.sport), spec.dport);
	ck_assert_uint_eq(be16_get(v.own.tuple.dport), spec.sport);
	/* RFC 9293, 3.10.7.1 */
	if (spec.flags & ACK) {
		ck_assert_uint_eq(v.own.tcp_flags, RST);
		ck_assert_uint_eq(v.own.seq, spec.ack);
	} else {
		ck_assert_uint_eq(v.own.tcp_flags, RST | ACK);
		ck_assert_uint_eq(v.own.seq, 0);
		ck_assert_uint_eq(v.own.ack, spec.seq + spec.payload + (spec.flags & FIN) +
		                                     !!(spec.flags & SYN));
	}
}

START_TEST(rst_if_there_is_no_flow)
{
	const uint8_t flags[] = {ACK, FIN | ACK, SYN | ACK, FIN, 0, 0x28, SYN | FIN};

	begin();
	for (unsigned i = 0; i < 28; i++) {
		struct spec spec = client_spec(flags[i % 7]);

		spec.seq = i % 2 ? 0xffffffff : 77;
		spec.ack = 0xabcdef01;
		spec.payload = i / 7 % 2 ? 33 : 0;
		spec.side = i / 14 ? INSIDE : OUTSIDE;
		spec.ntags = i / 7 % 3;
		spec.tpid[0] = spec.tpid[1] = 0x8100;
		check_rst(WHY_NO_FLOW, spec);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_is_never_answered)
{
	begin();
	for (unsigned i = 0; i < 2; i++) {
		struct spec spec = client_spec(i ? RST : RST | ACK);

		frames_tcp(&built, &spec);
		check_why(WHY_RST_NO_FLOW);
	}
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_the_port_is_not_served)
{
	struct rules *rules = fixture_rules(2);
	const be32 addresses[] = {ip4(10, 0, 0, 50)};
	struct spec spec = client_spec(SYN);

	fixture_set_snat(&rules->farms[0], addresses, 1);
	engine_start(&engine, rules);
	spec.dport = 80;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	spec.dport = 0;
	spec.payload = 7;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	spec.dport = 65535;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	/* a SNAT address serves nothing */
	spec.to = addresses[0];
	spec.dport = 443;
	check_rst(WHY_PORT_NOT_SERVED, spec);
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_there_is_no_server)
{
	begin();
	engine.rules->servers[0].state = STATE_DRAIN;
	engine.rules->servers[1].weight = 0;
	check_rst(WHY_NO_SERVER, client_spec(SYN));
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 1);
	engine_stop(&engine);
}
END_TEST

START_TEST(drain_keeps_what_there_is)
{
	begin();
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	engine.rules->servers[0].state = STATE_DRAIN;
	engine.rules->servers[1].state = STATE_DRAIN;
	check_hit(CLIENT, talk_spec(&talk, CLIENT, ACK, 10));
	check_hit(SERVER, talk_spec(&talk, SERVER, ACK, 10));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_servers_are_full)
{
	begin();
	engine.rules->servers[0].max_connections = engine.rules->servers[1].max_connections = 1;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_open(&talk, &engine, fixture_client(2), 40000, 443);
	check_rst(WHY_SERVERS_FULL, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_snat_is_exhausted)
{
	struct rules *rules = fixture_rules(2);

	fixture_set_snat_ports(&rules->farms[0], 6000, 6000);
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 41000, 5061);
	talk_open(&talk, &engine, fixture_client(2), 41000, 5061);
	check_rst(WHY_SNAT_EXHAUSTED, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

START_TEST(rst_if_the_table_is_full)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 2;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(2), 41000, 5061);
	talk_open(&talk, &engine, fixture_client(3), 41000, 5061);
	check_rst(WHY_TABLE_FULL, client_spec(SYN));
	engine_stop(&engine);
}
END_TEST

/* Half of the table at most is half-open; the oldest makes room. */
START_TEST(flood_of_syns_leaves_the_rest_alone)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 20;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 1000; i++) {
		struct talk flood;

		ck_assert_uint_eq(talk_syn(&flood, &engine, fixture_client(100 + i), 1, 5061).why,
		                  WHY_FLOW_NEW);
		ck_assert_uint_le(balance_open_flows(lb_balance(engine.lb)), 11);
	}
	check_hit(CLIENT, talk_spec(&talk, CLIENT, ACK, 10));
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_EVICTED], 990);
	engine_stop(&engine);
}
END_TEST

static unsigned rsts_of(unsigned n, enum lb_why why, struct spec spec)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < n; i++) {
		struct verdict v;

		frames_tcp(&built, &spec);
		v = engine_input(&engine, &built);
		ck_assert(v.why == why || v.why == WHY_RST_LIMITED);
		answered += v.act == LB_ANSWER;
	}
	return answered;
}

/* From another network of the same size each time. */
static unsigned rsts_of_many(unsigned n, enum lb_why why, struct spec spec)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < n; i++) {
		spec.from = ip4(20, (uint8_t)(i >> 8), (uint8_t)i, 1);
		answered += rsts_of(1, why, spec);
	}
	return answered;
}

/* What a single network gets: some of what those get who ask seldom, and half of the rest. */
START_TEST(rsts_are_limited)
{
	begin();
	ck_assert_uint_eq(rsts_of(1400, WHY_NO_FLOW, client_spec(ACK)), 16 + 500);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(rsts_of(500, WHY_NO_FLOW, client_spec(ACK)), 50);
	engine_wait_ms(&engine, 3600 * S);
	ck_assert_uint_eq(rsts_of(1500, WHY_NO_FLOW, client_spec(ACK)), 16 + 500);
	engine_stop(&engine);
}
END_TEST

/* Whoever asks for it: a thousand at once and a thousand a second of either sort. */
START_TEST(rsts_are_limited_in_all)
{
	begin();
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 2000);
	engine_wait_ms(&engine, 100);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 200);
	engine_stop(&engine);
}
END_TEST

/* One kind doesn't take from another. */
START_TEST(rsts_are_limited_by_kind)
{
	struct spec not_served = client_spec(SYN), refused = client_spec(SYN);

	begin();
	for (unsigned s = 0; s < engine.rules->nservers; s++)
		engine.rules->servers[s].weight = 0;
	engine_rules_changed(&engine);
	not_served.dport = 81;
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_FLOW, client_spec(ACK)), 2000);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_PORT_NOT_SERVED, not_served), 2000);
	ck_assert_uint_eq(rsts_of_many(2500, WHY_NO_SERVER, refused), 2000);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 2500);
	engine_stop(&engine);
}
END_TEST

/* Who asks now and then gets his, though others, from 256 networks, ask for all that they can get:
 * but for the first seconds, when these are strangers as well. */
START_TEST(rsts_are_left_for_others)
{
	struct spec flood = client_spec(SYN), honest = client_spec(SYN);

	begin();
	flood.dport = honest.dport = 81;
	honest.from = ip4(30, 1, 1, 1);
	for (unsigned ms = 0; ms < 20 * S; ms += 10) {
		for (unsigned i = 0; i < 30; i++) {
			flood.from = ip4(10, 1, (uint8_t)random_below(256), 1);
			rsts_of(1, WHY_PORT_NOT_SERVED, flood);
		}
		if (ms >= 10 * S && ms % 600 == 0)
			ck_assert_uint_eq(rsts_of(1, WHY_PORT_NOT_SERVED, honest), 1);
		engine.now.ns += 10 * LB_NS_PER_MS;
	}
	engine_stop(&engine);
}
END_TEST

/* --- ICMP and others --- */

static struct spec icmp_spec(void)
{
	struct spec spec = client_spec(0);

	spec.icmp_type = 8;
	spec.payload = 56;
	return spec;
}

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

/* Of no connection that is known: only what may follow a first fragment that is yet to come waits.
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

START_TEST(client_sticks_to_its_server)
{
	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	for (unsigned c = 0; c < 10; c++) {
		unsigned server;

		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		server = talk.server;
		for (uint16_t i = 1; i < 6; i++) {
			talk_open(&talk, &engine, fixture_client(c), (uint16_t)(40000 + i), 443);
			ck_assert_uint_eq(talk.server, server);
		}
	}
	engine_stop(&engine);
}
END_TEST

/* Where the client is sure to stick: SERVER_NONE if nowhere. */
static unsigned stuck_to(unsigned client)
{
	const struct balance *balance = lb_balance(engine.lb);
	uint32_t tick = (uint32_t)((engine.now.ns - balance->epoch.ns) / FLOW_NS_PER_TICK);
	uint16_t server;

	return persist_find(&balance->persist,
	                    persist_key(&engine.rules->farms[0], fixture_client(client)), true,
	                    tick, &server)
	               ? server
	               : SERVER_NONE;
}

/* What he asks for at once goes together; what comes to nothing binds him no longer than that. */
START_TEST(client_sticks_before_it_is_open)
{
	struct talk first, second;

	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	talk_syn(&first, &engine, fixture_client(1), 40000, 443);
	for (uint16_t i = 1; i < 6; i++) {
		talk_syn(&second, &engine, fixture_client(1), (uint16_t)(40000 + i), 443);
		ck_assert_uint_eq(second.server, first.server);
	}
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_wait_ms(&engine, 35 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 6);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	talk_open(&second, &engine, fixture_client(1), 40006, 443);
	ck_assert_uint_eq(second.server, 1 - first.server);
	ck_assert_uint_eq(stuck_to(1), second.server);
	engine_stop(&engine);
}
END_TEST

/* SYNs in their names, while their server is full, and of many others move nobody. */
START_TEST(made_up_syns_move_nobody)
{
	enum { CLIENTS = 10, FLOOD = 6000 };
	unsigned servers[CLIENTS];

	begin();
	engine.rules->farms[0].persist_ms = 600 * S;
	for (unsigned c = 0; c < CLIENTS; c++) {
		talk_open(&talk, &engine, fixture_client(c), 40000, 443);
		servers[c] = talk.server;
		talk_close(&talk, CLIENT);
	}
	for (unsigned s = 0; s < 2; s++) {
		engine.rules->servers[s].max_connections = 1;
		for (unsigned c = 0; c < CLIENTS; c++)
			for (uint16_t i = 0; i < 3; i++)
				talk_syn(&talk, &engine, fixture_client(c),
				         (uint16_t)(42000 + 3 * s + i), 443);
		engine.rules->servers[s].max_connections = 0;
	}
	for (unsigned i = 0; i < FLOOD; i++)
		talk_syn(&talk, &engine, fixture_client(CLIENTS + i), 40000, 443);
	for (unsigned c = 0; c < CLIENTS; c++) {
		ck_assert_uint_eq(stuck_to(c), servers[c]);
		talk_open(&talk, &engine, fixture_client(c), 50000, 443);
		ck_assert_uint_eq(talk.server, servers[c]);
	}
	engine_stop(&engine);
}
END_TEST

/* The end of an idle connection is no use of it. */
START_TEST(idle_client_sticks_no_longer)
{
	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	engine.rules->farms[0].idle_timeout_ms = 90 * S;
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	engine_wait_ms(&engine, 58 * S);
	ck_assert_uint_eq(stuck_to(1), talk.server);
	engine_wait_ms(&engine, 4 * S);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_wait_ms(&engine, 32 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 1);
	ck_assert_uint_eq(stuck_to(1), SERVER_NONE);
	engine_stop(&engine);
}
END_TEST

/* Nor does the end of one that came to nothing take the client back from where it is now. */
START_TEST(half_open_flow_unsticks_nobody)
{
	struct talk now;

	begin();
	engine.rules->farms[0].persist_ms = 60 * S;
	talk_syn(&talk, &engine, fixture_client(1), 40000, 443);
	engine.rules->servers[talk.server].weight = 0;
	talk_open(&now, &engine, fixture_client(1), 40001, 443);
	engine.rules->servers[talk.server].weight = 1;
	ck_assert_uint_ne(now.server, talk.server);
	engine_wait_ms(&engine, 32 * S);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.ended[ENDED_IDLE], 1);
	ck_assert_uint_eq(stuck_to(1), now.server);
	engine_stop(&engine);
}
END_TEST

/* To which server the client's next connection goes, from another port. */
static unsigned next_server(struct talk *t, uint16_t port)
{
	ck_assert_uint_eq(talk_syn(t, &engine, fixture_client(1), port, 5061).why, WHY_FLOW_NEW);
	return t->server;
}

/* While a connection is used its client sticks; later than that it goes where there is least. */
START_TEST(client_sticks_while_its_flow_is_used)
{
	struct rules *rules = fixture_rules(2);
	struct talk other;

	rules->farms[0].persist_ms = 10 * S;
	engine_start(&engine, rules);
	talk_open(&talk, &engine, fixture_client(1), 40000, 5061);
	for (unsigned i = 0; i < 20; i++) {
		engine_wait_ms(&engine, 4 * S);
		talk_send(&talk, CLIENT, ACK, 10);
	}
	ck_assert_uint_eq(next_server(&other, 40001), talk.server);
	talk_send(&other, SERVER, RST | ACK, 0);
	engine_wait_ms(&engine, 25 * S);
	ck_assert_uint_eq(next_server(&other, 40002), 1 - talk.server);
	engine_stop(&engine);
}
END_TEST

START_TEST(without_snat_only_the_destination_changes)
{
	struct rules *rules = fixture_rules(1);
	struct spec spec = client_spec(SYN);
	struct verdict v;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
	check_forwarded(spec.from, spec.sport, fixture_server(0), 5061);
	spec = (struct spec){.dst = FIXTURE_CLIENT_MAC,
	                     .src = mac_of(0x41),
	                     .side = INSIDE,
	                     .from = fixture_server(0),
	                     .to = spec.from,
	                     .sport = 5061,
	                     .dport = spec.sport,
	                     .flags = SYN | ACK};
	frames_tcp(&built, &spec);
	v = input();
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	check_forwarded(fixture_vip(), 5061, spec.to, spec.dport);
	/* its other connections are the wire's */
	spec.dport++;
	frames_tcp(&built, &spec);
	check_bridged();
	spec = client_spec(SYN);
	spec.to = fixture_server(0);
	spec.dst = mac_of(0x41);
	frames_tcp(&built, &spec);
	check_bridged();
	engine_stop(&engine);
}
END_TEST

/* What isn't addressed to us crosses, whatever is wrong with it. */
START_TEST(without_snat_the_wire_stays_a_wire)
{
	struct rules *rules = fixture_rules(1);
	struct spec spec = {.dst = FIXTURE_CLIENT_MAC,
	                    .src = mac_of(0x41),
	                    .side = INSIDE,
	                    .from = fixture_server(0),
	                    .to = fixture_client(1),
	                    .sport = 5061,
	                    .dport = 40000,
	                    .payload = 200,
	                    .flags = ACK};
	struct built whole;

	fixture_set_snat(&rules->farms[0], NULL, 0);
	engine_start(&engine, rules);
	frames_tcp(&built, &spec);
	built.frame.data[built.l3] = 0x44; /* a header of 16 bytes */
	check_bridged();
	frames_tcp(&built, &spec);
	built.frame.data[built.l4 + 12] = 0x40; /* the same of TCP */
	check_bridged();
	frames_tcp(&whole, &spec);
	frames_fragment(&built, &whole, 0, 104); /* the first of no flow's packet, and its next */
	check_bridged();
	frames_fragment(&built, &whole, 104, 104);
	check_bridged();
	frames_fragment(&built, &whole, 8, 104); /* overlaps */
	check_bridged();
	engine_stop(&engine);
}
END_TEST

START_TEST(each_farm_its_own)
{
	engine_start(&engine, fixture_two_farms());
	for (unsigned i = 0; i < 20; i++) {
		struct spec spec = spec_syn(fixture_client(1), (uint16_t)(40000 + i), 443);
		struct verdict v;

		spec.to = ip4(10, 0, i % 2, 40);
		frames_tcp(&built, &spec);
		v = input();
		ck_assert_uint_eq(v.why, WHY_FLOW_NEW);
		ck_assert_uint_eq(v.way.server / 2, i % 2);
		ck_assert_mem_eq(built.frame.data + built.l3 + 12, &spec.to, 4);
	}
	/* one without a server doesn't stop the other */
	engine.rules->servers[0].state = engine.rules->servers[1].state = STATE_DRAIN;
	engine_rules_changed(&engine);
	check_rst(WHY_NO_SERVER, client_spec(SYN));
	struct spec spec = client_spec(SYN);
	spec.to = ip4(10, 0, 1, 40);
	frames_tcp(&built, &spec);
	ck_assert_uint_eq(input().why, WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* --- all of it --- */

enum { MIX = 3000 };

/* A frame of any kind; which one is a matter of random numbers only. */
static void any_frame(struct built *ret)
{
	static const uint8_t flags[] = {SYN,       SYN,       SYN, ACK,      ACK,
	                                SYN | ACK, FIN | ACK, RST, RST | ACK};
	struct spec spec =
	        spec_syn(fixture_client(random_below(40)), (uint16_t)(40000 + random_below(3)),
	                 (uint16_t)(random_below(5) ? 443 + random_below(2) : random_next()));
	uint32_t kind = random_below(16);

	spec.side = (enum side)random_below(2);
	spec.flags = flags[random_below(sizeof(flags))];
	spec.seq = 1000 + random_below(3);
	spec.ntags = random_below(3);
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	spec.payload = (uint16_t)random_below(60);
	spec.partial = random_below(4) == 0;
	spec.icmp_type = random_below(2) ? 8 : 3;
	spec.arp_oper = (uint16_t)random_below(4);
	if (random_below(4) == 0) {
		spec.from = fixture_server(random_below(2));
		spec.sport = 443;
		spec.dport = (uint16_t)(1024 + random_next() % 64000);
	}
	if (random_below(10) == 0)
		spec.to = ip4(10, 0, 0, (uint8_t)random_below(256));
	if (kind == 0)
		frames_arp(ret, &spec);
	else if (kind == 1)
		frames_icmp(ret, &spec);
	else if (kind == 2)
		frames_ipv4(ret, &spec);
	else
		frames_tcp(ret, &spec);
	for (uint32_t n = random_below(8) ? 0 : random_below(4); n > 0; n--)
		ret->frame.data[random_below(ret->frame.len)] = (uint8_t)random_next();
	if (random_below(20) == 0)
		ret->frame.len = random_below(ret->frame.len + 1);
}

START_TEST(reasons_add_up)
{
	uint64_t acts[LB_NACTS] = {0}, sum = 0, by_act[LB_NACTS] = {0};

	begin();
	for (unsigned i = 0; i < MIX; i++) {
		struct verdict v;

		any_frame(&built);
		v = input();
		acts[v.act]++;
		if (v.act != LB_FORWARD)
			check_untouched();
		if (i % 16 == 0)
			engine_wait_ms(&engine, random_below(300));
	}
	for (unsigned why = 0; why < LB_NWHYS; why++) {
		sum += lb_whys(engine.lb)[why];
		by_act[lb_why_act((enum lb_why)why)] += lb_whys(engine.lb)[why];
	}
	ck_assert_uint_eq(sum, MIX);
	ck_assert_mem_eq(acts, by_act, sizeof(acts));
	ck_assert_uint_gt(acts[LB_FORWARD], MIX / 20);
	ck_assert_uint_gt(acts[LB_ANSWER], MIX / 20);
	engine_stop(&engine);
}
END_TEST

START_TEST(reasons_have_names_of_their_own)
{
	for (unsigned a = 0; a < LB_NWHYS; a++) {
		ck_assert_str_ne(lb_why_name((enum lb_why)a), "");
		for (unsigned b = 0; b < a; b++)
			ck_assert_str_ne(lb_why_name((enum lb_why)a), lb_why_name((enum lb_why)b));
	}
}
END_TEST

static void check_same_verdict(const struct verdict *a, const struct verdict *b)
{
	require_eq(a->act, b->act);
	require_eq(a->why, b->why);
	require_eq(a->way.side, b->way.side);
	require_eq(a->way.server, b->way.server);
	if (a->act == LB_FORWARD)
		require_eq(a->flow, b->flow);
	if (a->act == LB_FORWARD && a->way.server == SERVER_NONE)
		require(!memcmp(&a->way.hop, &b->way.hop, sizeof(a->way.hop)));
	if (a->act != LB_ANSWER)
		return;
	require_eq(a->own.kind, b->own.kind);
	require(be32_eq(a->own.tuple.src, b->own.tuple.src) &&
	        be32_eq(a->own.tuple.dst, b->own.tuple.dst));
	if (a->own.kind == OWN_TCP)
		require(a->own.seq == b->own.seq && a->own.ack == b->own.ack &&
		        tuple_eq(&a->own.tuple, &b->own.tuple));
}

/* The same frames at the same times give the same bytes, one by one or in bursts of any size. */
START_TEST(same_input_same_output)
{
	enum { FRAMES = 77, ROUNDS = 40 };
	static struct built one[FRAMES], many[FRAMES];
	static struct frame frames[FRAMES];
	static struct verdict of_one[FRAMES], of_many[FRAMES];
	struct engine other;

	begin();
	engine_start(&other, fixture_rules(2));
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = 1 + random_below(FRAMES);

		for (unsigned i = 0; i < n; i++) {
			any_frame(&one[i]);
			frames_copy(&many[i], &one[i]);
			frames[i] = many[i].frame;
			of_one[i] = engine_input(&engine, &one[i]);
		}
		lb_input(other.lb, frames, n, other.now, of_many);
		for (unsigned i = 0; i < n; i++) {
			check_same_verdict(&of_one[i], &of_many[i]);
			require(!memcmp(one[i].bytes, many[i].bytes, sizeof(one[i].bytes)));
		}
		engine_wait_ms(&engine, 100);
		engine_wait_ms(&other, 100);
	}
	engine_stop(&engine);
	engine_stop(&other);
}
END_TEST

Suite *lb_suite(void)
{
	const TTest *const tests[] = {wire_passes_anything,
	                              wire_passes_short_frames,
	                              wire_passes_ipv4_of_others,
	                              loop_is_dropped,
	                              port_with_another_mac,
	                              host_gets_its_own,
	                              arp_request_is_answered,
	                              arp_reply_of_a_server_is_noted,
	                              nobody_is_where_no_host_can_be,
	                              arp_conflict_is_told,
	                              arp_of_another_kind,
	                              arp_of_a_group_mac,
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
	                              rst_if_there_is_no_flow,
	                              rst_is_never_answered,
	                              rst_if_the_port_is_not_served,
	                              rst_if_there_is_no_server,
	                              drain_keeps_what_there_is,
	                              rst_if_servers_are_full,
	                              rst_if_snat_is_exhausted,
	                              rst_if_the_table_is_full,
	                              flood_of_syns_leaves_the_rest_alone,
	                              rsts_are_limited,
	                              rsts_are_limited_in_all,
	                              rsts_are_limited_by_kind,
	                              rsts_are_left_for_others,
	                              echo_is_answered,
	                              echo_needs_a_server_that_is_up,
	                              echo_that_is_damaged_or_cut,
	                              echo_from_a_martian,
	                              other_icmp_is_dropped,
	                              other_protocols_are_dropped,
	                              unmatched_fragments_go_nowhere,
	                              malformed_ip,
	                              malformed_tcp,
	                              NULL};

	return suite_of("lb", tests);
}

Suite *lb_ends_suite(void)
{
	const TTest *const tests[] = {idle_flow_is_reset,
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
	                              client_sticks_to_its_server,
	                              client_sticks_before_it_is_open,
	                              made_up_syns_move_nobody,
	                              idle_client_sticks_no_longer,
	                              half_open_flow_unsticks_nobody,
	                              client_sticks_while_its_flow_is_used,
	                              without_snat_only_the_destination_changes,
	                              without_snat_the_wire_stays_a_wire,
	                              each_farm_its_own,
	                              reasons_add_up,
	                              reasons_have_names_of_their_own,
	                              same_input_same_output,
	                              NULL};

	return suite_of("lb_ends", tests);
}
