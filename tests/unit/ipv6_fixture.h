/*
 * What the tests of IPv6 begin with: an engine of an IPv6 farm, and one of the same farm of IPv4.
 */
#ifndef UNIT_IPV6_FIXTURE_H
#define UNIT_IPV6_FIXTURE_H

#include "fixture.h"
#include "frames6.h"
#include "suites.h"

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

/* ---- twins ---- */

static inline void check_same_own(const struct own *own4, const struct own *own6)
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
static inline struct verdict pass(struct built *built)
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

static inline struct rules *rules_of(unsigned nservers, bool ipv6)
{
	struct rules *rules = fixture_rules(nservers);

	rules->max_connections = 40;
	rules->farms[0].idle_timeout_ms = 20 * S;
	fixture_set_snat_ports(&rules->farms[0], 2000, 2012);
	if (ipv6)
		fixture_make_ipv6(rules);
	return rules;
}

static inline void begin(unsigned nservers)
{
	engine_start(&four, rules_of(nservers, false));
	engine_start(&six, rules_of(nservers, true));
}

static inline void finish(void)
{
	engine_stop(&four);
	engine_stop(&six);
}

/* What the server of a flow has been sent is where it answers to. */
static inline void note_server(struct talk *t, const struct built *built, const struct verdict *v)
{
	t->server = v->way.server;
	t->snat = be32_load(built->frame.data + built->l3 + 12);
	t->snat_port = frames_get16(built->frame.data + built->l4);
}

/* ---- what only IPv6 has ---- */

static struct talk talk;

/* One connection through the IPv6 engine. */
static inline void begin_six(void)
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
static inline void build(struct built *ret, enum end end, uint16_t payload)
{
	struct spec spec = talk_spec(&talk, end, ACK, payload);
	struct built built;

	frames_tcp(&built, &spec);
	frames6_of(ret, &built);
}

static inline void check_addresses(const struct built *built, be32 src, be32 dst)
{
	const struct ip6 want[2] = {fixture_ip6(src), fixture_ip6(dst)};

	ck_assert_mem_eq(built->frame.data + built->l3 + 8, want, sizeof(want));
}

#endif
