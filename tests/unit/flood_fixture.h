/*
 * What the tests of floods begin with: an engine with few half-open places or many, and SYNs of
 * more clients than are let in.
 */
#ifndef UNIT_FLOOD_FIXTURE_H
#define UNIT_FLOOD_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { FLOOD_PORT = 443, FLOOD_PER_S = 20000 };

/* The least, one more, few, and the default. */
static const uint32_t most_half_open[] = {1, 2, 4, 65536};

static struct engine engine;

static inline enum lb_why knock_from(be32 client, uint16_t sport)
{
	struct talk talk;

	return (enum lb_why)talk_syn(&talk, &engine, client, sport, FLOOD_PORT).why;
}

static inline enum lb_why knock(unsigned client, uint16_t sport)
{
	return knock_from(fixture_client(client), sport);
}

static inline void require_turned_away(enum lb_why why)
{
	require(why == WHY_STRANGER || why == WHY_STRANGER_CHALLENGED);
}

/* As many SYNs at once as are let in in a second, and more. */
static inline void flood(uint32_t half_open)
{
	for (unsigned i = 0; i < FLOOD_PER_S + half_open; i++)
		knock(1000 + i / 16, (uint16_t)(1 + i % 16));
}

static inline void begin_engine(uint32_t half_open)
{
	struct rules *rules = fixture_rules(2);

	rules->max_half_open = half_open;
	engine_start(&engine, rules);
}

#endif
