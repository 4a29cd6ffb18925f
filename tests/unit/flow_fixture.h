/*
 * What the tests of the flow table begin with: a table, and tuples by number.
 */
#ifndef UNIT_FLOW_FIXTURE_H
#define UNIT_FLOW_FIXTURE_H

#include "frames.h"
#include "suites.h"

#include "../../lb/flows.h"
#include "../../lb/lane.h"

#include <stdlib.h>

enum { CAPACITY = 300 };

static struct flows flows;
static void *mem;

static inline void begin(uint32_t capacity)
{
	const struct hash_key key = {{1, 2}};
	struct arena measure = {0}, arena = {0};

	flows_lay_out(&flows, &measure, capacity, capacity, key);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	flows_lay_out(&flows, &arena, capacity, capacity, key);
	require_eq(arena.used, measure.used);
}

static inline struct tuple client_tuple(uint32_t n)
{
	return (struct tuple){be32_from(0x0a010000 + n), ip4(10, 0, 0, 40), be16_from(1234),
	                      be16_from(443)};
}

static inline struct tuple server_tuple(uint32_t n)
{
	return (struct tuple){ip4(10, 0, 0, 41), ip4(10, 0, 0, 40), be16_from(443),
	                      be16_from((uint16_t)(1024 + n))};
}

static inline uint32_t add(uint32_t n)
{
	const struct tuple arrive[2] = {client_tuple(n), server_tuple(n)};

	require(flows_have_room(&flows));
	return flows_add(&flows, arrive, NULL, 7, 10000, 400);
}

#endif
