/*
 * What the tests of lb_input() begin with: an engine of two servers, a frame that was built, and
 * what became of it. Each file that includes this has an engine of its own.
 */
#ifndef UNIT_LB_FIXTURE_H
#define UNIT_LB_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000 };

static struct engine engine;
static struct talk talk;
static struct built built, before;

static inline void begin(void)
{
	engine_start(&engine, fixture_rules(2));
}

/* Passes built in, remembering it as it was. */
static inline struct verdict input(void)
{
	frames_copy(&before, &built);
	return engine_input(&engine, &built);
}

static inline void check_untouched(void)
{
	ck_assert_mem_eq(built.bytes, before.bytes, sizeof(built.bytes));
	ck_assert_uint_eq(built.frame.len, before.frame.len);
	ck_assert_ptr_eq(built.frame.data, built.bytes + FRAME_HEADROOM);
}

/* Passes built in: it must be dropped, bridged or answered for that reason, and stay as it was. */
static inline struct verdict check_why(enum lb_why why)
{
	struct verdict v = input();

	if (v.why != why)
		ck_abort_msg("%s, not %s", lb_why_name((enum lb_why)v.why), lb_why_name(why));
	check_untouched();
	return v;
}

static inline void check_bridged(void)
{
	struct verdict v = check_why(WHY_NOT_OURS);

	ck_assert_uint_eq(v.act, LB_BRIDGE);
	ck_assert_uint_eq(v.way.side, way_across((enum side)built.frame.side));
}

/* What forwarding has made of built. */
static inline void check_forwarded(be32 from, uint16_t sport, be32 to, uint16_t dport)
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

static inline struct spec client_spec(uint8_t flags)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 5061);

	spec.flags = flags;
	return spec;
}

/* --- ARP --- */

static inline struct spec arp_spec(uint16_t oper)
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

/* --- packets of a flow --- */

/* Sends from an end, and checks what the other one gets, and where it goes. */
static inline struct verdict check_hit(enum end end, struct spec spec)
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

/* --- RSTs --- */

static inline void check_rst(enum lb_why why, struct spec spec)
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

/* --- ICMP and others --- */

static inline struct spec icmp_spec(void)
{
	struct spec spec = client_spec(0);

	spec.icmp_type = 8;
	spec.payload = 56;
	return spec;
}

#endif
