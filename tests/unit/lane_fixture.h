/*
 * What the tests of the fast lane beside the engine begin with: a small engine over arrays of its
 * own, and connections.
 */
#ifndef UNIT_LANE_FIXTURE_H
#define UNIT_LANE_FIXTURE_H

#include "fixture.h"
#include "lane_twin.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/process/sanitized.h"
#include "../../lb/wire.h"
#include "../fuzz/books.h"

enum { TALKS = 6, S = 1000 };

static struct engine engine;
static struct table table;
static struct talk talks[TALKS];
static bool is_open[TALKS];
static unsigned nforwarded;

static inline const struct flows *flows(void)
{
	return &lb_balance(engine.lb)->flows;
}

static inline void begin(void)
{
	struct rules *rules = fixture_rules(2);

	rules->max_connections = 16;
	rules->farms[0].idle_timeout_ms = 20 * S;
	fixture_set_snat_ports(&rules->farms[0], 2000, 2031);
	engine_start_shared(&engine, rules, &table);
	memset(is_open, 0, sizeof(is_open));
	nforwarded = 0;
}

static inline void require_books(void)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		frames += lb_whys(engine.lb)[i];
	books_check(engine.lb, frames);
}

/* The segment that end sends next, as the lane meets it. */
static inline struct twin_segment segment_of(const struct talk *talk, enum end end)
{
	const struct spec spec = talk_spec(talk, end, TCP_ACK, 100);

	return (struct twin_segment){
	        .tuple = {spec.from, spec.to, be16_from(spec.sport), be16_from(spec.dport)},
	        .seq = spec.seq,
	        .ack = spec.ack,
	        .len = 100,
	        .window = (uint16_t)random_next(),
	        .is_last = random_below(4) == 0};
}

/* The client is elsewhere, at mac, and has proven who it is. */
static inline void move_talk(struct talk *talk, struct mac mac)
{
	struct spec spec = talk_spec(talk, CLIENT, TCP_ACK, 0);
	struct built built;

	spec.src = mac;
	frames_tcp(&built, &spec);
	engine_input(&engine, &built);
}

/* More connections than places, so that each is another's by now. */
static inline void recycle(void)
{
	struct talk talk;

	for (unsigned i = 0; i < FLOWS_REST + 20; i++) {
		talk_syn(&talk, &engine, fixture_client(200), (uint16_t)(1024 + i), 443);
		if (random_below(4) == 0)
			engine_wait_ms(&engine, 31 * S);
	}
}

/* After all that, connections come, go on and end as ever. */
static inline void require_works(void)
{
	struct talk talk;

	engine_wait_ms(&engine, 3600 * S);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
	require_eq(lb_balance(engine.lb)->farms->snat.in_use[0], 0);
	talk_open(&talk, &engine, fixture_client(1), 999, 443);
	require_eq(talk_send(&talk, SERVER, TCP_ACK, 100).why, WHY_FLOW_HIT);
	talk_close(&talk, CLIENT);
	require_eq(balance_open_flows(lb_balance(engine.lb)), 0);
}

#endif
