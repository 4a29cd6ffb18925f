/*
 * What only IPv6 has, through lb_input(): extension headers, fragments behind them, ICMPv6 errors.
 */
#include "ipv6_fixture.h"

/* ---- frames ---- */

/* Puts len bytes of an extension header between what the packet has and TCP. */
static uint8_t *insert(struct built *built, uint8_t header, uint32_t len)
{
	uint8_t *ip = built->frame.data + built->l3, *at = ip + IP6_BYTES;

	memmove(at + len, at, built->frame.len - built->l3 - IP6_BYTES);
	memset(at, 0, len);
	at[0] = ip[6];
	ip[6] = header;
	if (header != FRAGMENT)
		at[1] = (uint8_t)(len / 8 - 1);
	frames_put16(ip + 4, (uint16_t)(frames6_payload(built) + len));
	built->l4 += len;
	built->frame.len += len;
	built->frame.wire_len += len;
	return at;
}

/* ---- what only IPv6 has ---- */

START_TEST(extension_headers_are_walked_and_kept)
{
	struct built built, before;

	begin_six();
	build(&built, CLIENT, 100);
	insert(&built, DESTINATION, 24);
	insert(&built, ROUTING, 8);
	insert(&built, HOP_BY_HOP, 16);
	frames_copy(&before, &built);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_FLOW_HIT);
	check_addresses(&built, talk.snat, four.rules->servers[talk.server].address);
	ck_assert_uint_eq(frames6_tcp_error(&built), 0);
	ck_assert_mem_eq(built.frame.data + built.l3, before.frame.data + before.l3, 8);
	ck_assert_mem_eq(built.frame.data + built.l3 + 40, before.frame.data + before.l3 + 40, 48);
	finish();
}
END_TEST

START_TEST(extension_headers_have_limits)
{
	struct built built;

	begin_six();
	build(&built, CLIENT, 100);
	for (unsigned i = 0; i < 9; i++)
		insert(&built, DESTINATION, 8);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_PROTOCOL_NOT_SERVED);
	build(&built, CLIENT, 100);
	insert(&built, ROUTING, 24)[3] = 1; /* there is another hop */
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_PROTOCOL_NOT_SERVED);
	build(&built, CLIENT, 100);
	insert(&built, DESTINATION, 8)[1] = 200; /* ends behind the packet */
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_IP_MALFORMED);
	build(&built, CLIENT, 100);
	insert(&built, FRAGMENT, 8)[3] = 1;
	insert(&built, FRAGMENT, 8)[3] = 1; /* a fragment of a fragment */
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_FRAGMENT_OTHER);
	build(&built, CLIENT, 100);
	frames_put16(built.frame.data + built.l3 + 4, 0xffff);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_IP_MALFORMED);
	finish();
}
END_TEST

START_TEST(hop_limit_flow_label_and_class_are_kept)
{
	struct built built;

	begin_six();
	build(&built, CLIENT, 10);
	frames_put32(built.frame.data + built.l3, 0x6b3abcde); /* AF31-like class, ECN, a label */
	built.frame.data[built.l3 + 7] = 1;
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_FLOW_HIT);
	ck_assert_uint_eq(frames_get32(built.frame.data + built.l3), 0x6b3abcde);
	ck_assert_uint_eq(built.frame.data[built.l3 + 7], 1);
	finish();
}
END_TEST

/* Unspecified, loopback, multicast, a mapped IPv4 address, and the VIP itself. */
START_TEST(martian_syn)
{
	static const struct ip6 sources[] = {{{0}},
	                                     {{[15] = 1}},
	                                     {{0xff, 0x02, [15] = 1}},
	                                     {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9}}};
	const struct spec spec = spec_syn(fixture_client(1), 40000, 443);
	struct built four_syn, built;

	begin(2);
	frames_tcp(&four_syn, &spec);
	for (unsigned i = 0; i < 5; i++) {
		const struct ip6 vip = fixture_ip6(fixture_vip());

		frames6_of(&built, &four_syn);
		memcpy(built.frame.data + built.l3 + 8, i < 4 ? &sources[i] : &vip, 16);
		frames6_fix(&built, 6);
		ck_assert_uint_eq(engine_input(&six, &built).why, WHY_MARTIAN);
	}
	ck_assert_uint_eq(lb_balance(six.lb)->counts.created, 0);
	finish();
}
END_TEST

/* What comes of a SYN of 2001:db8:NETWORK::10.9.HOST. */
static enum lb_why knock(uint16_t network, unsigned host, uint16_t sport)
{
	const struct spec spec = spec_syn(fixture_client(host), sport, 443);
	struct built four_syn, built;

	frames_tcp(&four_syn, &spec);
	frames6_of(&built, &four_syn);
	frames_put16(built.frame.data + built.l3 + 8 + 4, network);
	frames6_fix(&built, 6);
	return (enum lb_why)engine_input(&six, &built).why;
}

/* In a flood: where one has opened a connection others have as well, and together they count as one
 * client. */
START_TEST(a_network_is_one_client)
{
	unsigned let_in = 0;

	begin_six();
	lb_press(six.lb, six.now);
	for (unsigned i = 0; knock(1, i, 1) == WHY_FLOW_NEW; i++)
		;
	for (unsigned i = 0; knock(0, 10 + i, 1) == WHY_FLOW_NEW; i++)
		let_in++;
	ck_assert_uint_eq(let_in, 250);
	ck_assert_uint_eq(knock(2, 2, 1), WHY_STRANGER_CHALLENGED);
	finish();
}
END_TEST

/* The len bytes at offset of the packet whole, as a fragment. */
static void cut(struct built *ret, const struct built *whole, uint32_t offset, uint32_t len)
{
	uint8_t *header, *l4;

	frames_copy(ret, whole);
	header = insert(ret, FRAGMENT, 8);
	l4 = ret->frame.data + ret->l4;
	memmove(l4, l4 + offset, len);
	frames_put16(header + 2, (uint16_t)(offset + (offset + len < frames6_l4_len(whole))));
	frames_put32(header + 4, 0xabcdef01);
	frames_put16(ret->frame.data + ret->l3 + 4, (uint16_t)(8 + len));
	ret->frame.len = ret->frame.wire_len = ret->l4 + len;
}

/* Three fragments of a packet, which come in the order of order[]. */
static void follow(const uint8_t order[3])
{
	struct built whole, pieces[3], got;
	struct frame held;
	struct verdict v;
	uint8_t *tcp;

	build(&whole, CLIENT, 1000);
	for (unsigned i = 0; i < 3; i++)
		cut(&pieces[i], &whole, i * 400, i < 2 ? 400 : frames6_l4_len(&whole) - 800);
	frames_copy(&got, &whole);
	tcp = got.frame.data + got.l4;
	for (unsigned i = 0; i < 3; i++) {
		struct built *piece = &pieces[order[i]];

		v = engine_input(&six, piece);
		ck_assert_uint_eq(v.act, LB_FORWARD);
		if (v.why != WHY_FRAGMENT_HELD)
			memcpy(tcp + order[i] * 400, piece->frame.data + piece->l4,
			       piece->frame.len - piece->l4);
		while (lb_take_fragment(six.lb, &held, &v)) {
			uint8_t *ip = held.data + whole.l3;

			ck_assert_uint_eq(v.way.server, talk.server);
			ck_assert_mem_eq(ip + 8, pieces[0].frame.data + whole.l3 + 8, 32);
			memcpy(tcp + (frames_get16(ip + 42) & 0xfff8), ip + 48,
			       held.len - whole.l3 - 48);
		}
	}
	memcpy(got.frame.data + got.l3 + 8, pieces[0].frame.data + whole.l3 + 8, 32);
	check_addresses(&got, talk.snat, four.rules->servers[talk.server].address);
	ck_assert_uint_eq(frames6_tcp_error(&got), 0);
	talk.next[CLIENT] += 1000;
}

START_TEST(fragments_follow_in_any_order)
{
	static const uint8_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2}};
	struct built whole, piece;

	for (unsigned i = 0; i < 3; i++) {
		begin_six();
		follow(orders[i]);
		finish();
	}
	begin_six();
	build(&whole, CLIENT, 1000);
	cut(&piece, &whole, 0, 400);
	ck_assert_uint_eq(engine_input(&six, &piece).why, WHY_FLOW_HIT);
	cut(&piece, &whole, 392, 400);
	ck_assert_uint_eq(engine_input(&six, &piece).why, WHY_FRAGMENT_OVERLAP);
	cut(&piece, &whole, 8, 400);
	ck_assert_uint_eq(engine_input(&six, &piece).why, WHY_FRAGMENT_TINY);
	build(&whole, CLIENT, 10); /* one that is all: RFC 6946 */
	cut(&piece, &whole, 0, frames6_l4_len(&whole));
	ck_assert_uint_eq(engine_input(&six, &piece).why, WHY_FLOW_HIT);
	finish();
}
END_TEST

/* ---- ICMPv6 errors ---- */

/* An error of a router about the packet, quoting len bytes of it. */
static void build_error(struct built *ret, const struct built *about, uint8_t type, uint32_t len)
{
	struct ip6 router = fixture_ip6(ip4(172, 16, 5, 1));
	uint8_t *ip, *icmp;

	frames_copy(ret, about);
	ip = ret->frame.data + ret->l3;
	icmp = ip + IP6_BYTES;
	memset(ip, 0, 24);
	ip[0] = 0x60;
	frames_put16(ip + 4, (uint16_t)(8 + len));
	ip[6] = 58;
	ip[7] = 64;
	memcpy(ip + 24, about->frame.data + about->l3 + 8, 16);
	memcpy(ip + 8, &router, 16);
	memset(icmp, 0, 8);
	icmp[0] = type;
	frames_put32(icmp + 4, 1280);
	memcpy(icmp + 8, about->frame.data + about->l3, len);
	ret->l4 = ret->l3 + IP6_BYTES;
	ret->frame.len = ret->frame.wire_len = ret->l4 + 8 + len;
	frames6_fix(ret, 58);
	ret->frame.side = OUTSIDE;
}

static void check_error(enum end end, uint8_t type, uint32_t len)
{
	const struct ip6 router = fixture_ip6(ip4(172, 16, 5, 1));
	struct built sent, passed, error;
	struct verdict v;

	build(&sent, end, 600);
	frames_copy(&passed, &sent);
	ck_assert_uint_eq(engine_input(&six, &passed).why, WHY_FLOW_HIT);
	build_error(&error, &passed, type, len);
	v = engine_input(&six, &error);
	ck_assert_uint_eq(v.why, WHY_ICMP_ERROR);
	ck_assert_uint_eq(v.way.server, end == SERVER ? talk.server : SERVER_NONE);
	ck_assert_mem_eq(error.frame.data + error.l3 + 8, &router, 16);
	ck_assert_mem_eq(error.frame.data + error.l3 + 24, sent.frame.data + sent.l3 + 8, 16);
	ck_assert_mem_eq(error.frame.data + error.l4 + 8, sent.frame.data + sent.l3, len);
	ck_assert_uint_eq(frames6_sum(&error, 58, error.frame.data + error.l4, 8 + len), 0xffff);
	ck_assert_uint_eq(frames_get32(error.frame.data + error.l4 + 4), 1280);
}

START_TEST(errors_are_translated)
{
	begin_six();
	for (uint8_t type = 1; type <= 4; type++) {
		check_error(CLIENT, type, 640);
		check_error(SERVER, type, 640);
		check_error(CLIENT, type, 48); /* 8 bytes of TCP */
		check_error(SERVER, type, 61); /* an odd number */
	}
	finish();
}
END_TEST

START_TEST(errors_about_nothing_are_dropped)
{
	struct built sent, passed, error;

	begin_six();
	build(&sent, CLIENT, 600);
	frames_copy(&passed, &sent);
	engine_input(&six, &passed);
	build_error(&error, &passed, 2, 47); /* not even the sequence number */
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_OTHER);
	build_error(&error, &passed, 127, 100);
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_OTHER);
	passed.frame.data[passed.l4 + 1] ^= 1;
	build_error(&error, &passed, 2, 100);
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_NO_FLOW);
	finish();
}
END_TEST

/* An error that quotes the passed packet after a change at offset of the quotation. */
static enum lb_why why_of_quotation(const struct built *passed, uint32_t offset, uint8_t value)
{
	struct built error;

	build_error(&error, passed, 2, 200);
	error.frame.data[error.l4 + 8 + offset] = value;
	frames6_fix(&error, 58);
	return (enum lb_why)engine_input(&six, &error).why;
}

START_TEST(quotations_that_cannot_be_are_dropped)
{
	struct built sent, passed, error;
	uint8_t *header;

	begin_six();
	build(&sent, CLIENT, 600);
	frames_copy(&passed, &sent);
	engine_input(&six, &passed);
	ck_assert_uint_eq(why_of_quotation(&passed, 0, 0x40), WHY_ICMP_OTHER); /* IPv4 */
	ck_assert_uint_eq(why_of_quotation(&passed, 6, 17), WHY_ICMP_OTHER);   /* UDP */
	build_error(&error, &passed, 2, 39); /* not even an IPv6 header */
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_OTHER);
	/* a first fragment can be told by its ports, another one can't */
	header = insert(&passed, FRAGMENT, 8);
	frames_put16(header + 2, 1);
	build_error(&error, &passed, 2, 200);
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_ERROR);
	frames_put16(header + 2, 104 | 1);
	build_error(&error, &passed, 2, 200);
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_OTHER);
	/* an extension header that goes on past the quotation's end */
	header = insert(&passed, DESTINATION, 8);
	header[1] = 100;
	build_error(&error, &passed, 2, 200);
	ck_assert_uint_eq(engine_input(&six, &error).why, WHY_ICMP_OTHER);
	finish();
}
END_TEST

Suite *ipv6_only_suite(void)
{
	const TTest *const tests[] = {
	        extension_headers_are_walked_and_kept,
	        extension_headers_have_limits,
	        hop_limit_flow_label_and_class_are_kept,
	        martian_syn,
	        a_network_is_one_client,
	        fragments_follow_in_any_order,
	        errors_are_translated,
	        errors_about_nothing_are_dropped,
	        quotations_that_cannot_be_are_dropped,
	        NULL,
	};

	return suite_of("ipv6_only", tests);
}
