/*
 * What the tests of the scheduler begin with: rules, a scheduler and verdicts of its own for each
 * file.
 */
#ifndef UNIT_SCHED_FIXTURE_H
#define UNIT_SCHED_FIXTURE_H

#include "fixture.h"
#include "suites.h"

#include "../../lb/pick.h"

#include <stdlib.h>

static struct rules *rules;
static struct sched sched;
static struct health health;
static void *mem;
static const lb_time now = {5000 * LB_NS_PER_S};

static inline void lay_out(struct arena *arena)
{
	health_lay_out(&health, arena, rules, now);
	sched_lay_out(&sched, arena, rules, &share_whole, &health);
}

static inline void begin_with(struct rules *from)
{
	struct arena measure = {0}, arena = {0};

	rules = from;
	lay_out(&measure);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	lay_out(&arena);
	ck_assert_uint_eq(arena.used, measure.used);
}

static inline void begin(unsigned nservers)
{
	begin_with(fixture_rules(nservers));
}

static inline void end(void)
{
	free(mem);
	rules_free(rules);
}

/* To be called when rules have changed under the scheduler, which they otherwise never do. */
static inline void rules_changed(void)
{
	health.changes++;
}

static inline uint16_t open_one(void)
{
	uint16_t server = pick_server(&sched, 0, fixture_client(1), be16_from(0), now);

	ck_assert_uint_ne(server, SERVER_NONE);
	sched_opened(&sched, server);
	sched_half_open_no_more(&sched, server);
	return server;
}

/* Connects and closes, n times, counting into got. */
static inline void connect_and_close(unsigned n, unsigned got[FIXTURE_SERVERS])
{
	memset(got, 0, FIXTURE_SERVERS * sizeof(*got));
	for (unsigned i = 0; i < n; i++) {
		uint16_t server = open_one();

		got[server]++;
		sched_closed(&sched, server, true);
	}
}

static inline struct rules *checked_rules(unsigned nservers, unsigned nchecks)
{
	struct rules *from = fixture_rules(nservers);
	struct rules_farm *farm = &from->farms[0];

	farm->checks = calloc(nchecks, sizeof(*farm->checks));
	for (unsigned i = 0; i < nchecks; i++)
		farm->checks[i] = farm->ports[i];
	farm->nchecks = nchecks;
	return from;
}

#endif
