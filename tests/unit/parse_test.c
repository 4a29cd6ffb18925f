/*
 * Reading frames: each field, each bound, both ways.
 */
#include "frames.h"
#include "random.h"
#include "suites.h"

#include "../../lb/parse.h"

#include <stdlib.h>

static struct spec tcp_spec(void)
{
	return (struct spec){
	        .dst = mac_of(1),
	        .src = mac_of(9),
	        .side = INSIDE,
	        .from = ip4(10, 9, 0, 1),
	        .to = ip4(10, 0, 0, 40),
	        .sport = 50000,
	        .dport = 5061,
	        .seq = 0x80000001,
	        .ack = 0xfffffff0,
	        .flags = 0x10,
	        .payload = 33,
	};
}

/* Parses a copy that ends with its memory, so that reading on is seen. */
static bool parse_copy(const struct built *built, struct packet *ret,
                       bool (*parse)(const struct frame *frame, struct packet *ret))
{
	struct frame frame = built->frame;
	uint8_t *bytes = malloc(frame.len ? frame.len : 1);
	bool ok;

	memcpy(bytes, frame.data, frame.len);
	frame.data = bytes;
	memset(ret, 0xa5, sizeof(*ret));
	ok = parse(&frame, ret);
	free(bytes);
	return ok;
}

static bool parse_in_steps(const struct frame *frame, struct packet *ret)
{
	parse_frame(frame, ret);
	if (ret->kind != PACKET_IPV4 || !parse_ip(frame, ret))
		return false;
	parse_l4_checksum_ok(frame, ret);
	return ret->protocol == 6 && parse_tcp(frame, ret);
}

static bool parse_all(const struct built *built, struct packet *ret)
{
	return parse_copy(built, ret, parse_in_steps);
}

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

/* At each length a frame can be cut to, parsing stays within it and never says more than it holds.
 */
START_TEST(cut_anywhere)
{
	struct spec spec = tcp_spec();
	struct built built;
	struct packet p;
	uint32_t whole;

	spec.ntags = 2;
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	spec.ip_options = 8;
	spec.tcp_options = 12;
	frames_tcp(&built, &spec);
	whole = built.frame.len;
	for (uint32_t len = 0; len <= whole; len++) {
		built.frame.len = len;
		require(parse_all(&built, &p) == (len >= built.l4 + 20));
		require_eq(p.kind, len >= built.l3 + 20 ? PACKET_IPV4 : PACKET_OTHER);
	}
	for (uint32_t len = 0; len <= whole; len++) {
		built.frame.len = built.frame.wire_len = len;
		require(parse_all(&built, &p) == (len >= whole));
	}
	frames_arp(&built, &spec);
	whole = built.frame.len;
	for (uint32_t len = 0; len <= whole; len++) {
		built.frame.len = built.frame.wire_len = len;
		parse_all(&built, &p);
		require_eq(p.kind, len >= built.l3 + 28 ? PACKET_ARP : PACKET_OTHER);
	}
}
END_TEST

START_TEST(header_length_both_ways)
{
	for (unsigned ihl = 0; ihl < 16; ihl++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;
		uint8_t *ip;

		frames_tcp(&built, &spec);
		ip = built.frame.data + built.l3;
		ip[0] = (uint8_t)(0x40 | ihl);
		parse_all(&built, &p);
		require_eq(p.kind, PACKET_IPV4);
		require(parse_ip(&built.frame, &p) == (ihl >= 5));
		/* a header longer than the packet */
		frames_put16(ip + 2, (uint16_t)(ihl * 4 - 1));
		require(!parse_ip(&built.frame, &p));
	}
}
END_TEST

START_TEST(total_length_both_ways)
{
	struct spec spec = tcp_spec();
	struct built built;
	struct packet p;
	uint8_t *ip;
	uint16_t real;

	frames_tcp(&built, &spec);
	ip = built.frame.data + built.l3;
	real = frames_get16(ip + 2);
	for (uint32_t total = 0; total < 0x10000; total++) {
		frames_put16(ip + 2, (uint16_t)total);
		parse_frame(&built.frame, &p);
		require(parse_ip(&built.frame, &p) == (total >= 20 && total <= real));
		if (total < 20 || total > real)
			continue;
		require_eq(p.l4_len, total - 20);
		require(parse_tcp(&built.frame, &p) == (total >= 40));
	}
}
END_TEST

START_TEST(ethernet_padding_is_not_payload)
{
	struct spec spec = tcp_spec();
	struct built built;
	struct packet p;

	spec.payload = 0;
	frames_tcp(&built, &spec);
	built.frame.len = built.frame.wire_len = 60;
	require(parse_all(&built, &p));
	require_eq(p.seq_len, 0);
	require(parse_l4_checksum_ok(&built.frame, &p));
	built.frame.data[59] = 77;
	require(parse_l4_checksum_ok(&built.frame, &p));
}
END_TEST

START_TEST(data_offset_both_ways)
{
	for (unsigned offset = 0; offset < 16; offset++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		frames_tcp(&built, &spec);
		built.frame.data[built.l4 + 12] = (uint8_t)(offset << 4 | 0xf);
		/* 53 bytes of TCP: 13 words fit */
		require(parse_all(&built, &p) == (offset >= 5 && offset <= 13));
	}
}
END_TEST

START_TEST(version_is_4)
{
	for (unsigned version = 0; version < 16; version++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		frames_tcp(&built, &spec);
		built.frame.data[built.l3] = (uint8_t)(version << 4 | 5);
		require(parse_all(&built, &p) == (version == 4));
	}
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

/* Nonsense of every kind: what parsing says must fit within the frame. */
START_TEST(random_bytes_stay_within)
{
	for (unsigned i = 0; i < 200000; i++) {
		struct spec spec = tcp_spec();
		struct built built;
		struct packet p;

		spec.ntags = random_below(3);
		spec.tpid[0] = 0x88a8;
		spec.tpid[1] = 0x8100;
		frames_tcp(&built, &spec);
		for (uint32_t n = random_below(6); n > 0; n--)
			built.frame.data[random_below(built.frame.len)] = (uint8_t)random_next();
		built.frame.len = random_below(built.frame.len + 1);
		if (random_below(2))
			built.frame.wire_len = built.frame.len;
		if (!parse_all(&built, &p))
			continue;
		require(p.l4 + 20u <= built.frame.len);
		require((uint32_t)p.l4 + p.l4_len <= built.frame.wire_len);
		require(p.seq_len <= p.l4_len);
	}
}
END_TEST

static bool parse_if_plain(const struct frame *frame, struct packet *ret)
{
	if (!parse_is_plain(frame))
		return false;
	parse_plain(frame, ret);
	return true;
}

static bool plain(const struct built *built, struct packet *ret)
{
	return parse_copy(built, ret, parse_if_plain);
}

static void same_packet(const struct packet *a, const struct packet *b)
{
	require_eq(a->kind, b->kind);
	require_eq(a->protocol, b->protocol);
	require_eq(a->tcp_flags, b->tcp_flags);
	require_eq(a->is_fragment, b->is_fragment);
	require_eq(a->l3, b->l3);
	require_eq(a->l4, b->l4);
	require_eq(a->l4_len, b->l4_len);
	require(memcmp(&a->from.mac, &b->from.mac, sizeof(a->from.mac)) == 0);
	require_eq(a->from.side, b->from.side);
	require_eq(a->from.ntags, b->from.ntags);
	require(memcmp(&a->tuple, &b->tuple, sizeof(a->tuple)) == 0);
	require(!a->src6 && !a->dst6 && !b->src6 && !b->dst6);
	require_eq(a->window, b->window);
	require_eq(a->wscale, b->wscale);
	require_eq(a->seq, b->seq);
	require_eq(a->ack, b->ack);
	require_eq(a->seq_len, b->seq_len);
}

/* A TCP frame of any kind, and here and there a byte of its headers, or its length, is another. */
static void damaged_tcp(struct built *ret)
{
	struct spec spec = tcp_spec();

	spec.flags = (uint8_t)random_next();
	spec.payload = (uint16_t)random_below(60);
	spec.ntags = random_below(8) == 0;
	spec.tpid[0] = 0x8100;
	spec.ip_options = random_below(8) ? 0 : 4;
	spec.tcp_options = (uint8_t)(4 * random_below(4));
	frames_tcp(ret, &spec);
	for (unsigned i = random_below(3); i > 0; i--)
		ret->frame.data[random_below(60)] = (uint8_t)random_next();
	if (random_below(4) == 0)
		ret->frame.len = random_below(ret->frame.len + 1);
	if (random_below(4) == 0)
		ret->frame.wire_len = ret->frame.len;
}

/* The short way of plain packets sees them as the long way does, and takes all that it may. */
START_TEST(plain_is_the_same)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < 200000; i++) {
		struct packet by_short, by_long;
		struct built built;
		bool is_plain, ok;

		damaged_tcp(&built);
		is_plain = plain(&built, &by_short);
		ok = parse_all(&built, &by_long);
		require_eq(is_plain, ok && by_long.l3 == 14 && by_long.l4 == 34 &&
		                             !by_long.is_fragment && !(by_long.tcp_flags & 2) &&
		                             !mac_is_group(&by_long.from.mac));
		if (is_plain)
			same_packet(&by_short, &by_long);
		taken += is_plain;
	}
	ck_assert_uint_gt(taken, 20000);
}
END_TEST

Suite *parse_suite(void)
{
	const TTest *const tests[] = {fields_of_tcp,
	                              window_scale,
	                              syn_and_fin_take_a_number_each,
	                              vlan_tags,
	                              third_tag_is_not_looked_behind,
	                              fields_of_arp,
	                              arp_of_something_else,
	                              cut_anywhere,
	                              header_length_both_ways,
	                              total_length_both_ways,
	                              ethernet_padding_is_not_payload,
	                              data_offset_both_ways,
	                              version_is_4,
	                              fragments,
	                              checksum_verdict,
	                              checksum_of_icmp_has_no_pseudo_header,
	                              random_bytes_stay_within,
	                              plain_is_the_same,
	                              NULL};

	return suite_of("parse", tests);
}
