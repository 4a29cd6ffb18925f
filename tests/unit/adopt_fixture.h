/*
 * What the tests of adoption begin with: open connections of a process that dies.
 */
#ifndef UNIT_ADOPT_FIXTURE_H
#define UNIT_ADOPT_FIXTURE_H

#include "fixture.h"
#include "suites.h"

#include "../../lb/wire.h"

#include <stdlib.h>

enum { TALKS = 40, S = 1000 };

static struct engine engine;
static struct table table;
static struct talk talks[TALKS];
static struct adoption adoption;

/* An engine by these rules over arrays of its own, with open connections. */
static inline void begin_with(struct rules *rules)
{
	engine_start_shared(&engine, rules, &table);
	for (unsigned i = 0; i < TALKS; i++)
		talk_open(&talks[i], &engine, fixture_client(i), (uint16_t)(20000 + i),
		          i % 2 ? 443 : 5061);
}

static inline void begin(void)
{
	begin_with(fixture_rules(3));
}

/* The process dies, and one with other rules, which it takes over, comes. */
static inline bool die_and_adopt(struct rules *rules)
{
	const struct mac macs[NSIDES] = {FIXTURE_OUTSIDE_MAC, FIXTURE_INSIDE_MAC};
	const struct hash_key key = {{0, 0}};
	const struct table_array *buckets = &table.arrays[TABLE_BUCKETS];
	struct table sizes;
	size_t size;
	void *scratch = aligned_alloc(ARENA_ALIGN, buckets->elements * buckets->element_bytes);

	free(engine.farms_mem);
	rules_free(engine.rules);
	engine.rules = rules;
	size = lb_table_sizes(rules, &share_whole, &sizes);
	engine_take_memory(&engine, size);
	memset(engine.mem, 0xa5, size); /* nothing is left of what the other one had there */
	engine.farms_mem = aligned_alloc(ARENA_ALIGN, farms_size(rules));
	engine.lb = lb_adopt(engine.mem, &table, scratch,
	                     farms_init(engine.farms_mem, rules, &share_whole, &key, engine.now),
	                     macs, engine.now, &adoption);
	free(scratch);
	if (engine.lb)
		engine_use_extras(&engine, rules);
	return engine.lb;
}

static inline void finish(void)
{
	engine_stop_shared(&engine, &table);
}

static inline struct flow *flow_of_talk(unsigned i)
{
	return &((struct flow *)table.arrays[TABLE_FLOWS].memory)[i];
}

/* Both ends go on, and are sent where they were. */
static inline void require_goes_on(struct talk *talk)
{
	require_eq(talk_send(talk, CLIENT, TCP_ACK, 100).why, WHY_FLOW_HIT);
	require_eq(talk_send(talk, SERVER, TCP_ACK, 100).why, WHY_FLOW_HIT);
}

#endif
