/*
 * What the tests of judging begin with: an engine, a conversation, and strangers that disturb it.
 */
#ifndef UNIT_JUDGE_FIXTURE_H
#define UNIT_JUDGE_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000, HALF_OPEN_MS = 30 * S };

#define HOME      FIXTURE_CLIENT_MAC
#define ELSEWHERE mac_of(0x66)

static struct engine engine;
static struct talk talk;
static struct built built;

static inline const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static inline const struct flow *flow(void)
{
	return flows_at(&balance()->flows, 0);
}

static inline void begin(void)
{
	engine_start(&engine, fixture_rules(1));
	talk_open(&talk, &engine, fixture_client(1), 40000, 443);
	talk_send(&talk, CLIENT, ACK, 100);
	talk_send(&talk, SERVER, ACK, 200);
}

/* What end sends next, from elsewhere. */
static inline struct spec from_elsewhere(enum end end, uint8_t flags)
{
	struct spec spec = talk_spec(&talk, end, flags, 0);

	spec.src = ELSEWHERE;
	return spec;
}

static inline struct verdict pass(const struct spec *spec)
{
	struct verdict v;

	frames_tcp(&built, spec);
	v = engine_input(&engine, &built);
	ck_assert_uint_eq(v.why, WHY_FLOW_HIT);
	return v;
}

/* If what the server says next goes to that MAC address, without a tag. */
static inline bool is_at(struct mac mac)
{
	struct spec spec = talk_spec(&talk, SERVER, ACK, 0);
	struct verdict v = pass(&spec);

	return mac_eq(&v.way.hop.mac, &mac) && v.way.hop.ntags == 0 && v.way.hop.side == OUTSIDE;
}

/* Nothing of the flow has changed, but for the count of frames. */
static inline void check_stray(const struct spec *spec)
{
	struct flow before = *flow(), after;

	engine_wait_ms(&engine, 500);
	pass(spec);
	after = *flow();
	for (enum end end = CLIENT; end <= SERVER; end++) {
		before.bytes[end] = after.bytes[end];
		before.packets[end] = after.packets[end];
	}
	ck_assert(memcmp(&before, &after, sizeof(before)) == 0);
}

/* ---- the handshake ---- */

static inline void begin_half_open(void)
{
	engine_start(&engine, fixture_rules(1));
	ck_assert_uint_eq(talk_syn(&talk, &engine, fixture_client(1), 40000, 443).why,
	                  WHY_FLOW_NEW);
}

/* ---- a server that is given no connections any more ---- */

static inline struct spec syn_again(struct mac from)
{
	struct spec spec = spec_syn(fixture_client(1), 40000, 443);

	spec.src = from;
	spec.seq = 3000000000;
	return spec;
}

#endif
