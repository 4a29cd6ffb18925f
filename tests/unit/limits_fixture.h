/*
 * What the tests of limits begin with: an engine, and clients that knock.
 */
#ifndef UNIT_LIMITS_FIXTURE_H
#define UNIT_LIMITS_FIXTURE_H

#include "fixture.h"

#include "../../cfg/prefixes.h"
#include "../../lb/limits.h"

enum { ACK = 0x10, RST = 0x04, PORT = 443, TWIN_PREFIXES = 300, TWIN_PROBES = 3000 };

static struct engine engine;
static struct rules *rules;

static inline void begin(void)
{
	rules = fixture_rules(2);
	rules->farms[0].on_limit = ON_LIMIT_RESET;
}

static inline void go(void)
{
	engine_start(&engine, rules);
}

static inline struct rules_farm *farm(void)
{
	return &rules->farms[0];
}

static inline enum lb_why knock(unsigned client, uint16_t sport)
{
	struct talk talk;

	return (enum lb_why)talk_syn(&talk, &engine, fixture_client(client), sport, PORT).why;
}

static inline struct talk open_one(unsigned client, uint16_t sport)
{
	struct talk talk;

	talk_open(&talk, &engine, fixture_client(client), sport, PORT);
	return talk;
}

static inline const struct limits_counts *counts(void)
{
	return &lb_balance(engine.lb)->limits.counts;
}

#endif
