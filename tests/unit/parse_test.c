/*
 * Reading frames: each field, and checksums.
 */
#include "parse_fixture.h"
#include "random.h"
#include "suites.h"

START_TEST(fields_of_tcp)
{
	struct spec spec = tcp_spec();
	struct built built;
	struct packet p;

	frames_tcp(&built, &spec);
	require(parse_all(&built, &p));
	require_eq(p.kind, PACKET_IPV4);
	require_eq(p.protocol, 6);
	require_eq(p.tcp_flags, 0x10);
	require_eq(p.l3, 14);
	require_eq(p.l4, 34);
	require_eq(p.l4_len, 53);
	require_eq(p.from.side, INSIDE);
	require_eq(p.from.ntags, 0);
	require(mac_eq(&p.from.mac, &spec.src));
	require(be32_eq(p.tuple.src, spec.from) && be32_eq(p.tuple.dst, spec.to));
	require_eq(be16_get(p.tuple.sport), 50000);
	require_eq(be16_get(p.tuple.dport), 5061);
	require_eq(p.seq, 0x80000001);
	require_eq(p.ack, 0xfffffff0);
	require_eq(p.seq_len, 33);
	require_eq(p.window, 8192);
	require_eq(p.wscale, PACKET_NO_WSCALE);
	require(!p.is_fragment);
}
END_TEST

/* Options as they stand behind a SYN's header, filled up with no-operations. */
START_TEST(window_scale)
{
	const struct {
		uint8_t options[12];
		uint8_t want;
	} cases[] = {
	        {{3, 3, 7}, 7},
	        {{2, 4, 5, 180, 1, 3, 3, 8, 4, 2, 1, 1}, 8},
	        {{1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 14}, 14},
	        {{3, 3, 0}, 0},
	        {{3, 3, 15}, 14}, /* RFC 7323, 2.3 */
	        {{3, 3, 255}, 14},
	        {{0, 3, 3, 7}, PACKET_NO_WSCALE},
	        {{3, 4, 7, 1}, PACKET_NO_WSCALE},
	        {{2, 0, 3, 3, 7}, PACKET_NO_WSCALE},
	        {{2, 255, 3, 3, 7}, PACKET_NO_WSCALE},
	        {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3}, PACKET_NO_WSCALE},
	        {{8, 10, 3, 3, 9, 3, 3, 9, 3, 3, 1, 1}, PACKET_NO_WSCALE},
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		spec.flags = 2;
		spec.tcp_options = 12;
		frames_tcp(&built, &spec);
		memcpy(built.frame.data + built.l4 + 20, cases[i].options, 12);
		require(parse_all(&built, &p));
		require_eq(p.wscale, cases[i].want);
		/* in a capture that cut the options, and without SYN */
		built.frame.len = built.l4 + 31;
		require(parse_all(&built, &p));
		require_eq(p.wscale, PACKET_NO_WSCALE);
		spec.flags = 0x10;
		frames_tcp(&built, &spec);
		memcpy(built.frame.data + built.l4 + 20, cases[i].options, 12);
		require(parse_all(&built, &p));
		require_eq(p.wscale, PACKET_NO_WSCALE);
	}
}
END_TEST

START_TEST(syn_and_fin_take_a_number_each)
{
	const struct {
		uint8_t flags;
		uint32_t seq_len;
	} cases[] = {{0x02, 34}, {0x01, 34}, {0x03, 35}, {0x04, 33}, {0x38, 33}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		spec.flags = cases[i].flags;
		spec.tcp_options = 40;
		spec.ip_options = 40;
		frames_tcp(&built, &spec);
		require(parse_all(&built, &p));
		require_eq(p.seq_len, cases[i].seq_len);
		require_eq(p.l4, 14 + 60);
	}
}
END_TEST

START_TEST(vlan_tags)
{
	const uint16_t tpids[] = {0x8100, 0x88a8, 0x9100};
	const uint8_t names[] = {TPID_8021Q, TPID_8021AD, TPID_QINQ_OLD};

	for (unsigned i = 0; i < 9; i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		spec.ntags = 2;
		spec.tpid[0] = tpids[i / 3];
		spec.tpid[1] = tpids[i % 3];
		spec.tci[0] = 0xe123;
		spec.tci[1] = 0x0fff;
		frames_tcp(&built, &spec);
		require(parse_all(&built, &p));
		require_eq(p.from.ntags, 2);
		require_eq(p.from.tpid0, names[i / 3]);
		require_eq(p.from.tpid1, names[i % 3]);
		require_eq(be16_get(p.from.tci[0]), 0xe123);
		require_eq(be16_get(p.from.tci[1]), 0x0fff);
		require_eq(p.l3, 22);
	}
}
END_TEST

START_TEST(third_tag_is_not_looked_behind)
{
	struct spec spec = tcp_spec();
	struct built built;
	struct packet p;

	spec.ntags = 3;
	spec.tpid[0] = spec.tpid[1] = spec.tpid[2] = 0x8100;
	frames_tcp(&built, &spec);
	require(!parse_all(&built, &p));
	require_eq(p.kind, PACKET_OTHER);
	require_eq(p.from.ntags, 2);
}
END_TEST

START_TEST(fields_of_arp)
{
	struct spec spec = {.src = mac_of(9),
	                    .arp_sender = mac_of(8),
	                    .from = ip4(1, 2, 3, 4),
	                    .to = ip4(5, 6, 7, 8),
	                    .ntags = 1,
	                    .tpid = {0x8100},
	                    .payload = 18};

	for (uint16_t oper = 0; oper < 5; oper++) {
		struct built built;
		struct packet p;

		spec.arp_oper = oper;
		frames_arp(&built, &spec);
		parse_all(&built, &p);
		require_eq(p.kind, PACKET_ARP);
		require_eq(p.arp_oper, oper == 1 || oper == 2 ? oper : 0);
		require(mac_eq(&p.arp_sender, &spec.arp_sender));
		require(mac_eq(&p.from.mac, &spec.src));
		require(be32_eq(p.tuple.src, spec.from) && be32_eq(p.tuple.dst, spec.to));
	}
}
END_TEST

/* 0x0101 is neither request nor reply, nor are 1 and 2 in the wrong byte order. */
START_TEST(arp_of_something_else)
{
	const struct {
		uint8_t offset, value;
	} changes[] = {{0, 1}, {1, 6}, {2, 9}, {3, 1}, {4, 8}, {5, 16}};
	struct spec spec = {.src = mac_of(9), .arp_oper = 1};
	struct built built;
	struct packet p;

	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		frames_arp(&built, &spec);
		built.frame.data[built.l3 + changes[i].offset] = changes[i].value;
		parse_all(&built, &p);
		require_eq(p.kind, PACKET_OTHER);
	}
	spec.arp_oper = 0x0101;
	frames_arp(&built, &spec);
	parse_all(&built, &p);
	require_eq(p.arp_oper, 0);
	spec.arp_oper = 0x0100;
	frames_arp(&built, &spec);
	parse_all(&built, &p);
	require_eq(p.arp_oper, 0);
}
END_TEST

START_TEST(fragments)
{
	const struct {
		uint16_t field;
		bool is;
	} cases[] = {{0x4000, false}, {0x8000, false}, {0x2000, true}, {0x0001, true},
	             {0x1fff, true},  {0x3fff, true},  {0x6000, true}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		spec.fragment = cases[i].field;
		frames_tcp(&built, &spec);
		parse_frame(&built.frame, &p);
		require(parse_ip(&built.frame, &p));
		require(p.is_fragment == cases[i].is);
	}
}
END_TEST

START_TEST(checksum_verdict)
{
	for (unsigned i = 0; i < 300; i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;
		uint32_t at;

		spec.payload = (uint16_t)random_below(60);
		frames_tcp(&built, &spec);
		require(parse_all(&built, &p));
		require(parse_l4_checksum_ok(&built.frame, &p));
		at = built.l4 + random_below(20u + spec.payload);
		built.frame.data[at] = (uint8_t)(built.frame.data[at] ^ (1 << random_below(8)));
		require(!parse_l4_checksum_ok(&built.frame, &p));
		built.frame.flags = FRAME_CSUM_PARTIAL;
		require(parse_l4_checksum_ok(&built.frame, &p));
		built.frame.flags = 0;
		built.frame.len--;
		require(!parse_l4_checksum_ok(&built.frame, &p));
	}
}
END_TEST

START_TEST(checksum_of_icmp_has_no_pseudo_header)
{
	struct spec spec = {
	        .from = ip4(1, 2, 3, 4), .to = ip4(5, 6, 7, 8), .icmp_type = 8, .payload = 57};
	struct built built;
	struct packet p;

	frames_icmp(&built, &spec);
	parse_frame(&built.frame, &p);
	require(parse_ip(&built.frame, &p));
	require(parse_l4_checksum_ok(&built.frame, &p));
	built.frame.data[built.l4 + 9]++;
	require(!parse_l4_checksum_ok(&built.frame, &p));
}
END_TEST

Suite *parse_suite(void)
{
	const TTest *const tests[] = {
	        fields_of_tcp,
	        window_scale,
	        syn_and_fin_take_a_number_each,
	        vlan_tags,
	        third_tag_is_not_looked_behind,
	        fields_of_arp,
	        arp_of_something_else,
	        fragments,
	        checksum_verdict,
	        checksum_of_icmp_has_no_pseudo_header,
	        NULL,
	};

	return suite_of("parse", tests);
}
