/*
 * What the tests of SNAT ports begin with: rules, and the ports that they leave.
 */
#ifndef UNIT_SNAT_FIXTURE_H
#define UNIT_SNAT_FIXTURE_H

#include "fixture.h"
#include "suites.h"

#include "../../lb/snat.h"

#include <stdlib.h>

enum { PORTS = 65536 };

static struct rules *rules;
static struct snat snat;
static void *mem;

static inline void begin(struct rules *from, uint64_t key)
{
	const struct hash_key hash_key = {{key, 0}};
	struct arena measure = {0}, arena = {0};

	rules = from;
	snat_lay_out(&snat, &measure, rules, &share_whole, &hash_key);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	snat_lay_out(&snat, &arena, rules, &share_whole, &hash_key);
	require_eq(arena.used, measure.used);
}

static inline void end(void)
{
	free(mem);
	rules_free(rules);
}

static inline uint16_t take(unsigned server, unsigned service, struct snat_port *ret)
{
	require(snat_take(&snat, 0, server, service, ret));
	return be16_get(ret->port);
}

#endif
