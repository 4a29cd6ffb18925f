/*
 * Reading frames: each bound, both ways.
 */
#include "parse_fixture.h"
#include "random.h"
#include "suites.h"

/*
 * At each length a frame can be cut to, parsing stays within it and never says more than it holds.
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

Suite *parse_bounds_suite(void)
{
	const TTest *const tests[] = {
	        cut_anywhere,
	        header_length_both_ways,
	        total_length_both_ways,
	        ethernet_padding_is_not_payload,
	        data_offset_both_ways,
	        version_is_4,
	        random_bytes_stay_within,
	        plain_is_the_same,
	        NULL,
	};

	return suite_of("parse_bounds", tests);
}
