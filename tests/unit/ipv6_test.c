/*
 * IPv6, through lb_input().
 *
 * What balancing does doesn't depend on the version of IP. So most of this is one test: two engines
 * with the same farm, of IPv4 and of IPv6, get the same random traffic, each frame translated from
 * the one version to the other, and have to do the same. The rest is what only IPv6 has.
 */
#include "fixture.h"
#include "frames6.h"
#include "random.h"
#include "suites.h"

#include <stdlib.h>

enum {
	ACK = 0x10,
	RST = 0x04,
	SYN = 0x02,
	FIN = 0x01,
	EVENTS = 100000,
	TALKS = 24,
	S = 1000,
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	DESTINATION = 60,
};

static struct engine four, six;

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

/* ---- twins ---- */

static void check_same_own(const struct own *own4, const struct own *own6)
{
	const struct ip6 src = fixture_ip6(own4->tuple.src), dst = fixture_ip6(own4->tuple.dst);

	require_eq(own4->kind, own6->kind);
	require_eq(own4->tcp_flags, own6->tcp_flags);
	require_eq(own4->server, own6->server);
	require(be16_eq(own4->tuple.sport, own6->tuple.sport));
	require(be16_eq(own4->tuple.dport, own6->tuple.dport));
	require(!own4->ipv6 && own6->ipv6);
	require(ip6_eq(&own6->src6, &src) && ip6_eq(&own6->dst6, &dst));
	require_eq(own4->seq, own6->seq);
	require_eq(own4->ack, own6->ack);
}

/* Passes the frame, and its translation, in; both engines must do the same. */
static struct verdict pass(struct built *built)
{
	struct verdict v4, v6;
	struct built built6, want;

	frames6_of(&built6, built);
	v4 = engine_input(&four, built);
	v6 = engine_input(&six, &built6);
	require_eq(v4.why, v6.why);
	require_eq(v4.way.server, v6.way.server);
	if (v4.act == LB_FORWARD) {
		require_eq(v4.flow, v6.flow);
		frames6_of(&want, built);
		require_eq(built6.frame.len, want.frame.len);
		ck_assert_mem_eq(built6.frame.data, want.frame.data, want.frame.len);
	} else if (v4.act == LB_ANSWER) {
		check_same_own(&v4.own, &v6.own);
	}
	return v4;
}

static void wait_ms(uint64_t ms)
{
	engine_wait_ms(&four, ms);
	engine_wait_ms(&six, ms);
	require_eq(four.nowns, six.nowns);
	for (unsigned i = 0; i < four.nowns && i < FIXTURE_OWNS; i++)
		check_same_own(&four.owns[i], &six.owns[i]);
}

static struct rules *rules_of(unsigned nservers, bool ipv6)
{
	struct rules *rules = fixture_rules(nservers);

	rules->max_connections = 40;
	rules->farms[0].idle_timeout_ms = 20 * S;
	fixture_set_snat_ports(&rules->farms[0], 2000, 2012);
	if (ipv6)
		fixture_make_ipv6(rules);
	return rules;
}

static void begin(unsigned nservers)
{
	engine_start(&four, rules_of(nservers, false));
	engine_start(&six, rules_of(nservers, true));
}

static void finish(void)
{
	engine_stop(&four);
	engine_stop(&six);
}

/* What the server of a flow has been sent is where it answers to. */
static void note_server(struct talk *talk, const struct built *built, const struct verdict *v)
{
	talk->server = v->way.server;
	talk->snat = be32_load(built->frame.data + built->l3 + 12);
	talk->snat_port = frames_get16(built->frame.data + built->l4);
}

static const uint8_t any_flags[] = {SYN, SYN,       SYN | ACK, ACK,       ACK,
                                    ACK, FIN | ACK, RST,       RST | ACK, 0};

static void random_packet(struct talk *talk)
{
	enum end end = random_below(2) && talk->snat_port ? SERVER : CLIENT;
	uint8_t flags = any_flags[random_below(sizeof(any_flags))];
	uint16_t payload = (uint16_t)(flags & ACK ? random_below(3) * 100 : 0);
	struct spec spec = talk_spec(talk, end, flags, payload);
	struct built built;
	struct verdict v;

	if (random_below(10) == 0)
		spec.seq += (uint32_t)random_below(3000) - 1500;
	else
		talk->next[end] += payload + (flags & 1u) + (flags >> 1 & 1u);
	spec.partial = random_below(3) == 0;
	spec.ntags = random_below(3);
	spec.tpid[0] = spec.tpid[1] = 0x8100;
	frames_tcp(&built, &spec);
	v = pass(&built);
	if (v.act == LB_FORWARD && end == CLIENT)
		note_server(talk, &built, &v);
}

START_TEST(does_what_ipv4_does)
{
	struct talk talks[TALKS];

	begin(3);
	for (unsigned i = 0; i < TALKS; i++)
		talks[i] = (struct talk){.engine = &four,
		                         .client = fixture_client(i / 2),
		                         .sport = (uint16_t)(40000 + i % 2),
		                         .dport = i % 5 ? 443 : 80,
		                         .next = {1000, 2000}};
	for (unsigned i = 0; i < EVENTS; i++) {
		random_packet(&talks[random_below(TALKS)]);
		if (random_below(50) == 0)
			wait_ms(random_below(20) ? random_below(4000) : 25 * S);
	}
	ck_assert_uint_gt(lb_whys(four.lb)[WHY_FLOW_HIT], EVENTS / 20);
	ck_assert_uint_gt(lb_balance(four.lb)->counts.created, 200);
	ck_assert_uint_gt(lb_balance(four.lb)->counts.resets, 20);
	finish();
}
END_TEST

START_TEST(echo)
{
	struct spec spec = {.dst = mac_of(1),
	                    .src = mac_of(0x99),
	                    .from = fixture_client(1),
	                    .to = fixture_vip(),
	                    .icmp_type = 8,
	                    .payload = 56};
	struct built built;

	begin(2);
	frames_icmp(&built, &spec);
	ck_assert_uint_eq(pass(&built).why, WHY_ECHO_REPLY);
	finish();
}
END_TEST

/* ---- what only IPv6 has ---- */

static struct talk talk;

/* One connection through the IPv6 engine. */
static void begin_six(void)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK};
	struct built built;
	struct verdict v;

	begin(2);
	talk = (struct talk){.engine = &four,
	                     .client = fixture_client(1),
	                     .sport = 40000,
	                     .dport = 443,
	                     .next = {1000, 2000}};
	for (unsigned i = 0; i < 3; i++) {
		struct spec spec = talk_spec(&talk, i == 1 ? SERVER : CLIENT, flags[i], 0);

		frames_tcp(&built, &spec);
		talk.next[i == 1 ? SERVER : CLIENT] += flags[i] & SYN ? 1 : 0;
		v = pass(&built);
		ck_assert_uint_eq(v.act, LB_FORWARD);
		if (i != 1)
			note_server(&talk, &built, &v);
	}
}

/* What end sends next, in IPv6. */
static void build(struct built *ret, enum end end, uint16_t payload)
{
	struct spec spec = talk_spec(&talk, end, ACK, payload);
	struct built built;

	frames_tcp(&built, &spec);
	frames6_of(ret, &built);
}

static void check_addresses(const struct built *built, be32 src, be32 dst)
{
	const struct ip6 want[2] = {fixture_ip6(src), fixture_ip6(dst)};

	ck_assert_mem_eq(built->frame.data + built->l3 + 8, want, sizeof(want));
}

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

/* ---- names ---- */

/* Two addresses with the same hash, under the key of the tests. */
static void find_collision(struct ip6 ret[2])
{
	enum { N = 300000 };
	static const struct hash_key key;
	uint64_t factors[5];
	struct seen {
		be32 name;
		uint32_t number;
	} *seen = calloc(1u << 20, sizeof(*seen));
	struct ip6 ip = fixture_ip6(ip4(0, 0, 0, 0));

	factors_make(factors, sizeof(factors) / sizeof(*factors), &key, FLOWS_FACTORS6);
	for (uint32_t i = 1; i < N; i++) {
		be32 name;
		uint32_t slot;

		frames_put32(ip.b + 8, i);
		frames_put32(ip.b + 12, i * 2654435761u ^ i >> 7);
		name = name_hashed(factors, &ip);
		slot = be32_get(name) & ((1u << 20) - 1);
		while (seen[slot].number && !be32_eq(seen[slot].name, name))
			slot = (slot + 1) & ((1u << 20) - 1);
		if (seen[slot].number) {
			ret[0] = ret[1] = ip;
			frames_put32(ret[0].b + 8, seen[slot].number);
			free(seen);
			return;
		}
		seen[slot] = (struct seen){name, i};
	}
	ck_abort_msg("no two of %d addresses have the same hash", N);
}

START_TEST(clients_of_the_same_hash_are_told_apart)
{
	struct ip6 clients[2];
	struct built built[2], answer;
	struct verdict v[2];

	find_collision(clients);
	begin(2);
	for (unsigned i = 0; i < 2; i++) {
		struct spec spec = spec_syn(fixture_client(1), 40000, 443);
		struct built syn;

		frames_tcp(&syn, &spec);
		frames6_of(&built[i], &syn);
		memcpy(built[i].frame.data + built[i].l3 + 8, &clients[i], 16);
		frames6_fix(&built[i], 6);
		v[i] = engine_input(&six, &built[i]);
		ck_assert_uint_eq(v[i].why, WHY_FLOW_NEW);
	}
	ck_assert_uint_ne(v[0].flow, v[1].flow);
	ck_assert_uint_ne(v[0].way.server, v[1].way.server); /* they alternate */
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *ip, *tcp;

		frames_copy(&answer, &built[i]);
		ip = answer.frame.data + answer.l3;
		tcp = answer.frame.data + answer.l4;
		memcpy(ip + 8, built[i].frame.data + built[i].l3 + 24, 16);
		memcpy(ip + 24, built[i].frame.data + built[i].l3 + 8, 16);
		memcpy(tcp, built[i].frame.data + built[i].l4 + 2, 2);
		memcpy(tcp + 2, built[i].frame.data + built[i].l4, 2);
		tcp[13] = SYN | ACK;
		answer.frame.side = INSIDE;
		frames6_fix(&answer, 6);
		ck_assert_uint_eq(engine_input(&six, &answer).flow, v[i].flow);
		ck_assert_mem_eq(ip + 24, &clients[i], 16);
		ck_assert_uint_eq(frames6_tcp_error(&answer), 0);
	}
	finish();
}
END_TEST

START_TEST(names_outlive_a_reload)
{
	struct rules *rules;
	struct built built;

	begin_six();
	for (unsigned i = 0; i < 3; i++) {
		rules = fixture_rules(4); /* of which the first ones come last */
		for (unsigned s = 0; s < 4; s++)
			rules->servers[s].address =
			        i % 2 ? ip4(10, 0, 0, (uint8_t)(44 - s)) : fixture_server(s);
		fixture_make_ipv6(rules);
		engine_reload(&six, rules);
		build(&built, CLIENT, 10);
		ck_assert_uint_eq(engine_input(&six, &built).why, WHY_FLOW_HIT);
		check_addresses(&built, talk.snat, four.rules->servers[talk.server].address);
		ck_assert_uint_eq(rules->nnames, 5);
	}
	engine_reload(&six, fixture_rules(2)); /* IPv4: the IPv6 farm is gone */
	engine_wait_ms(&six, 1000);
	ck_assert_uint_eq(six.nowns, 3); /* all are acknowledged at one end only */
	for (unsigned i = 0; i < six.nowns; i++)
		ck_assert(six.owns[i].ipv6);
	finish();
}
END_TEST

START_TEST(first_ipv6_farm_by_reload)
{
	struct rules *rules = fixture_rules(2);
	struct built built;

	begin_six();
	engine_stop(&six);
	engine_start(&six, fixture_rules(2));
	build(&built, CLIENT, 10);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_TO_HOST);
	fixture_make_ipv6(rules);
	engine_reload(&six, rules);
	ck_assert_uint_eq(engine_input(&six, &built).why, WHY_NO_FLOW);
	finish();
}
END_TEST

/* IPv6 costs IPv4 no memory. */
START_TEST(ipv4_flows_cost_no_more)
{
	struct rules *rules = fixture_rules(2);
	size_t small, large;

	rules->max_connections = 1000;
	rules->max_half_open = 1000;
	small = lb_size(rules, &share_whole);
	rules->max_connections = 1001000;
	large = lb_size(rules, &share_whole);
	rules_free(rules);
	/* flow, cold, spare, check_at, stamp; index; persist; shared: hops */
	ck_assert_uint_le((large - small) / 1000000, 64 + 32 + 16 + 4 + 4 + 19 + 8 + 1);
}
END_TEST

/* ---- neighbour discovery ---- */

struct nd_spec {
	uint8_t type, flags, hop_limit;
	const struct ip6 *src, *dst, *target;
	struct mac mac; /* of the option; zeros: none */
	enum side side;
};

static void build_nd(struct built *built, const struct nd_spec *spec)
{
	static const struct mac none;
	bool has_option = !mac_eq(&spec->mac, &none);
	uint32_t len = has_option ? 32 : 24;
	struct spec ether = {
	        .dst = mac_of(0x77), .src = mac_of(0x66), .side = spec->side, .payload = 72};
	uint8_t *ip, *nd;

	frames_ether(built, &ether, 0x86dd);
	ip = built->frame.data + built->l3;
	nd = ip + IP6_BYTES;
	memset(ip, 0, 72);
	ip[0] = 0x60;
	frames_put16(ip + 4, (uint16_t)len);
	ip[6] = 58;
	ip[7] = spec->hop_limit;
	memcpy(ip + 8, spec->src, 16);
	memcpy(ip + 24, spec->dst, 16);
	nd[0] = spec->type;
	nd[4] = spec->flags;
	memcpy(nd + 8, spec->target, 16);
	nd[24] = spec->type == 135 ? 1 : 2;
	nd[25] = 1;
	memcpy(nd + 26, &spec->mac, 6);
	built->l4 = built->l3 + IP6_BYTES;
	built->frame.len = built->frame.wire_len = built->l4 + len;
	frames6_fix(built, 58);
}

static bool is_mac(const struct mac *mac, uint8_t last)
{
	const struct mac want = mac_of(last);

	return mac_eq(mac, &want);
}

/* Addresses that neighbour discovery is about. */
static struct ip6 vip6, server6, client6, group6, nobody6;

static void begin_nd(void)
{
	vip6 = fixture_ip6(fixture_vip());
	server6 = fixture_ip6(fixture_server(1));
	client6 = fixture_ip6(fixture_client(1));
	group6 = (struct ip6){{0xff, 0x02, [11] = 1, [12] = 0xff, [15] = 40}};
	nobody6 = (struct ip6){{0}};
	begin(2);
}

static struct verdict input_nd(const struct nd_spec *spec)
{
	struct built built, before;
	struct verdict v;

	build_nd(&built, spec);
	frames_copy(&before, &built);
	v = engine_input(&six, &built);
	ck_assert_mem_eq(built.bytes, before.bytes, sizeof(before.bytes));
	return v;
}

START_TEST(solicitation_for_the_vip_is_answered)
{
	const struct mac asker = mac_of(0x55);
	struct nd_spec spec = {135, 0, 255, &client6, &group6, &vip6, asker, OUTSIDE};
	struct verdict v;

	begin_nd();
	for (unsigned i = 0; i < 2; i++) {
		v = input_nd(&spec);
		ck_assert_uint_eq(v.why, WHY_ND_REPLY);
		ck_assert(v.own.kind == OWN_ND_REPLY && mac_eq(&v.own.to.mac, &asker));
		ck_assert(ip6_eq(&v.own.src6, &vip6) && ip6_eq(&v.own.dst6, &client6));
		ck_assert(!v.conflict && !v.sighted);
		spec.dst = &vip6; /* is it still there? */
	}
	spec.mac = (struct mac){{0}};
	v = input_nd(&spec);
	ck_assert(is_mac(&v.own.to.mac, 0x66)); /* no option: the frame's */
	spec.mac = (struct mac){{1}};
	ck_assert_uint_eq(input_nd(&spec).why, WHY_MARTIAN);
	finish();
}
END_TEST

/* RFC 3971, 5.3.2: the nonce of who guards against his own solicitations coming back. */
START_TEST(other_options_are_skipped)
{
	struct nd_spec spec = {135, 0, 255, &client6, &group6, &vip6, mac_of(0x55), OUTSIDE};
	struct built built;
	struct verdict v;
	uint8_t *options;

	begin_nd();
	build_nd(&built, &spec);
	options = built.frame.data + built.l4 + 24;
	memmove(options + 8, options, 8);
	options[0] = 14;
	options[1] = 1;
	frames_put16(built.frame.data + built.l3 + 4, 40);
	built.frame.len = built.frame.wire_len = built.frame.len + 8;
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert_uint_eq(v.why, WHY_ND_REPLY);
	ck_assert(is_mac(&v.own.to.mac, 0x55));
	options[9] = 2; /* the second one goes on past the packet's end */
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert(is_mac(&v.own.to.mac, 0x66));
	finish();
}
END_TEST

START_TEST(somebody_else_s_vip_is_a_conflict)
{
	struct nd_spec spec = {135, 0, 255, &nobody6, &group6, &vip6, {{0}}, OUTSIDE};
	struct verdict v;

	begin_nd();
	v = input_nd(&spec); /* about to use it */
	ck_assert_uint_eq(v.why, WHY_ND_REPLY);
	ck_assert(v.conflict && ip6_eq(rules_ip6(six.rules, v.sighting.ip), &vip6));
	spec = (struct nd_spec){136, 0x20, 255, &vip6, &client6, &vip6, mac_of(0x55), INSIDE};
	v = input_nd(&spec);
	ck_assert_uint_eq(v.why, WHY_ND_CONFLICT);
	ck_assert(v.conflict && is_mac(&v.sighting.hop.mac, 0x55));
	finish();
}
END_TEST

START_TEST(servers_are_seen)
{
	struct nd_spec spec = {136, 0x60, 255, &server6, &vip6, &server6, mac_of(0x55), INSIDE};
	struct verdict v;

	begin_nd();
	v = input_nd(&spec);
	ck_assert_uint_eq(v.why, WHY_ND_LEARNED);
	ck_assert(v.sighted && be32_eq(v.sighting.ip, six.rules->servers[1].address));
	ck_assert(is_mac(&v.sighting.hop.mac, 0x55) && v.sighting.hop.side == INSIDE);
	spec.dst = &client6; /* to somebody else: seen all the same */
	v = input_nd(&spec);
	ck_assert(v.why == WHY_NOT_OURS && v.sighted);
	spec = (struct nd_spec){135, 0, 255, &server6, &group6, &client6, mac_of(0x55), INSIDE};
	v = input_nd(&spec);
	ck_assert(v.why == WHY_NOT_OURS && v.sighted);
	spec.dst = &vip6; /* asks us for somebody else */
	ck_assert_uint_eq(input_nd(&spec).why, WHY_ND_OTHER);
	/* where no host can be: our own ports, a group */
	for (unsigned i = 0; i < 3; i++) {
		const struct mac nowhere[] = {
		        FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC, {{0x33, 0x33, 0, 0, 0, 1}}};

		spec = (struct nd_spec){136,      0x60,     255,        &server6,
		                        &client6, &server6, nowhere[i], INSIDE};
		v = input_nd(&spec);
		ck_assert(!v.sighted && !v.heard);
	}
	finish();
}
END_TEST

START_TEST(what_a_host_must_not_believe_is_not_believed)
{
	struct nd_spec spec = {136, 0x60, 64, &server6, &vip6, &server6, mac_of(0x55), INSIDE};
	struct built built;
	struct verdict v;

	begin_nd();
	v = input_nd(&spec); /* from beyond a router */
	ck_assert(v.why == WHY_ICMP_OTHER && !v.sighted);
	spec.hop_limit = 255;
	build_nd(&built, &spec);
	built.frame.data[built.l4 + 30] ^= 1; /* damaged */
	v = engine_input(&six, &built);
	ck_assert(v.act == LB_DROP && v.why != WHY_ND_LEARNED && !v.sighted);
	build_nd(&built, &spec);
	built.frame.data[built.l4 + 25] = 0; /* an option without length */
	frames6_fix(&built, 58);
	v = engine_input(&six, &built);
	ck_assert(is_mac(&v.sighting.hop.mac, 0x66));
	spec.dst = &client6;
	spec.target = spec.src = &client6;
	ck_assert_uint_eq(input_nd(&spec).why, WHY_NOT_OURS);
	finish();
}
END_TEST

Suite *ipv6_suite(void)
{
	const TTest *const tests[] = {does_what_ipv4_does,
	                              echo,
	                              extension_headers_are_walked_and_kept,
	                              extension_headers_have_limits,
	                              hop_limit_flow_label_and_class_are_kept,
	                              martian_syn,
	                              fragments_follow_in_any_order,
	                              errors_are_translated,
	                              errors_about_nothing_are_dropped,
	                              quotations_that_cannot_be_are_dropped,
	                              clients_of_the_same_hash_are_told_apart,
	                              names_outlive_a_reload,
	                              first_ipv6_farm_by_reload,
	                              ipv4_flows_cost_no_more,
	                              solicitation_for_the_vip_is_answered,
	                              other_options_are_skipped,
	                              somebody_else_s_vip_is_a_conflict,
	                              servers_are_seen,
	                              what_a_host_must_not_believe_is_not_believed,
	                              NULL};

	return suite_of("ipv6", tests);
}
