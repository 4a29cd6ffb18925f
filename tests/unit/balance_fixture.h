/*
 * What the tests of connections begin with: an engine, a conversation, and the books that must
 * balance.
 */
#ifndef UNIT_BALANCE_FIXTURE_H
#define UNIT_BALANCE_FIXTURE_H

#include "fixture.h"
#include "suites.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, ACK = 0x10, S = 1000 };

static struct engine engine;
static struct talk talk;

static inline const struct balance *balance(void)
{
	return lb_balance(engine.lb);
}

static inline uint32_t open_flows(void)
{
	return balance_open_flows(balance());
}

static inline uint32_t quarantined(void)
{
	return balance_quarantined(balance());
}

static inline uint32_t connections(void)
{
	uint32_t n = 0;

	for (unsigned s = 0; s < engine.rules->nservers; s++)
		n += balance()->farms->sched.servers[s].connections;
	return n;
}

/* What the counters owe each other at any time. */
static inline void check_books(void)
{
	const struct balance_counts *c = &balance()->counts;
	uint64_t in_use = 0, addresses = 0, ended = 0;

	for (unsigned i = 0; i < ENDED_WHYS; i++)
		ended += c->ended[i];
	ck_assert_uint_eq(c->created, ended + open_flows());
	ck_assert_uint_eq(connections(), open_flows());
	for (unsigned f = 0; f < engine.rules->nfarms; f++)
		addresses += engine.rules->farms[f].nsnat;
	for (unsigned a = 0; a < addresses; a++)
		in_use += balance()->farms->snat.in_use[a];
	ck_assert_uint_eq(in_use, open_flows() + quarantined());
}

static inline void begin(void)
{
	engine_start(&engine, fixture_rules(2));
}

#endif
