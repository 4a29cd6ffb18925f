/*
 * The schedulers that go by what asks (hash) and by how soon servers answer (fastest).
 */
#include "fixture.h"
#include "suites.h"

#include "../../lb/pick.h"

#include <stdlib.h>

static struct rules *rules;
static struct sched sched;
static struct health health;
static void *mem;
static lb_time now;

static void lay_out(struct arena *arena)
{
	health_lay_out(&health, arena, rules, now);
	sched_lay_out(&sched, arena, rules, &share_whole, &health);
}

static void begin(unsigned nservers, enum rules_scheduler scheduler)
{
	struct arena measure = {0}, arena = {0};

	now = (lb_time){5000 * LB_NS_PER_S};
	rules = fixture_rules(nservers);
	rules->farms[0].scheduler = scheduler;
	lay_out(&measure);
	mem = arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(mem, 0xa5, measure.used);
	lay_out(&arena);
}

static void end(void)
{
	free(mem);
	rules_free(rules);
}

static uint16_t pick(unsigned client, uint16_t port)
{
	return pick_server(&sched, 0, fixture_client(client), be16_from(port), now);
}

static void answer(uint16_t server, uint64_t us)
{
	sched_answered(&sched, server, us * 1000, now);
}

/* Connects n times, each server taking so many us; counts into got. */
static void connect(unsigned n, const unsigned us[FIXTURE_SERVERS], unsigned got[FIXTURE_SERVERS])
{
	memset(got, 0, FIXTURE_SERVERS * sizeof(*got));
	for (unsigned i = 0; i < n; i++) {
		uint16_t server = pick(1, 1);

		got[server]++;
		sched_opened(&sched, server);
		answer(server, us[server]);
		sched_half_open_no_more(&sched, server);
		sched_closed(&sched, server, true);
		now.ns += LB_NS_PER_MS;
	}
}

/* A connection goes where its address and port say; the loss of a server moves only what it had. */
START_TEST(hash_goes_by_port_and_is_consistent)
{
	static uint16_t before[4000];
	unsigned got[FIXTURE_SERVERS] = {0};

	begin(3, SCHED_HASH);
	rules->servers[2].weight = 2;
	for (unsigned p = 0; p < 4000; p++) {
		before[p] = pick(1, (uint16_t)(1024 + p));
		got[before[p]]++;
		ck_assert_uint_eq(pick(1, (uint16_t)(1024 + p)), before[p]);
	}
	ck_assert_int_le(abs((int)got[0] - 1000), 130);
	ck_assert_int_le(abs((int)got[1] - 1000), 130);
	ck_assert_int_le(abs((int)got[2] - 2000), 160);
	rules->servers[1].state = STATE_DRAIN;
	for (unsigned p = 0; p < 4000; p++) {
		uint16_t server = pick(1, (uint16_t)(1024 + p));

		ck_assert(before[p] == 1 ? server != 1 : server == before[p]);
	}
	end();
}
END_TEST

/* Of two it is the faster one; of three the slowest gets nothing, and the fastest most. */
START_TEST(faster_ones_get_more)
{
	const unsigned us[FIXTURE_SERVERS] = {100, 200, 400};
	unsigned got[FIXTURE_SERVERS];

	begin(2, SCHED_FASTEST);
	connect(1000, us, got);
	ck_assert_uint_ge(got[0], 990);
	end();
	begin(3, SCHED_FASTEST);
	connect(3000, us, got);
	ck_assert_uint_le(got[2], 10);
	ck_assert_int_le(abs((int)got[1] - 1000), 150); /* when it is drawn with the slowest */
	end();
}
END_TEST

/* Of weight 3 a server may take up to three times as long. */
START_TEST(fastest_is_by_weight)
{
	const unsigned us[FIXTURE_SERVERS] = {100, 250, 350};
	unsigned got[FIXTURE_SERVERS];

	begin(2, SCHED_FASTEST);
	rules->servers[1].weight = 3;
	connect(1000, us, got);
	ck_assert_uint_ge(got[1], 990);
	end();
	begin(2, SCHED_FASTEST);
	rules->servers[1].weight = 2;
	connect(1000, us, got);
	ck_assert_uint_ge(got[0], 990);
	end();
}
END_TEST

/* Among equals nobody is left out, and what is underway is shared. */
START_TEST(equally_fast_ones_share)
{
	const unsigned us[FIXTURE_SERVERS] = {100, 100, 100, 100};
	unsigned got[FIXTURE_SERVERS];

	begin(4, SCHED_FASTEST);
	connect(4000, us, got);
	for (unsigned s = 0; s < 4; s++)
		ck_assert_int_le(abs((int)got[s] - 1000), 200);
	for (unsigned i = 0; i < 400; i++)
		sched_opened(&sched, pick(1, 1));
	for (unsigned s = 0; s < 4; s++)
		ck_assert_int_le(abs((int)sched.servers[s].half_open - 100), 4);
	end();
}
END_TEST

/* A server that hangs gets no more, whatever it was; one that refuses counts as slow. */
START_TEST(who_does_not_answer_gets_no_more)
{
	unsigned got[2] = {0};

	begin(2, SCHED_FASTEST);
	answer(0, 10);
	answer(1, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		uint16_t server = pick(1, 1);

		got[server]++;
		sched_opened(&sched, server);
		if (server == 1)
			sched_half_open_no_more(&sched, server);
	}
	ck_assert_uint_le(got[0], 1000); /* (1 + 1 us) times so many are more than 1 ms */
	ck_assert_uint_ge(got[1], 800);
	end();
	begin(2, SCHED_FASTEST);
	answer(0, 10);
	answer(1, 1000);
	ck_assert_uint_eq(pick(1, 1), 0);
	sched_answered(&sched, 0, FASTEST_UNANSWERED_NS, now);
	ck_assert_uint_eq(pick(1, 1), 1);
	end();
}
END_TEST

/* A mean halves in ten seconds without an answer: so who was slow is tried again. */
START_TEST(slowness_is_forgotten)
{
	begin(2, SCHED_FASTEST);
	answer(0, 100);
	answer(1, 1000);
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[1].answers, now), 1000 * 1000);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_uint_eq(pick(1, 1), 0);
		now.ns += FASTEST_FORGET_S * LB_NS_PER_S;
		answer(0, 100);
	}
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[0].answers, now), 100 * 1000);
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[1].answers, now), 1000 * 1000 / 16);
	ck_assert_uint_eq(pick(1, 1), 1);
	now.ns += 1000 * LB_NS_PER_S;
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[1].answers, now), 0);
	end();
}
END_TEST

/* The mean is of the last eight or so, and of what is measured none is more than a second. */
START_TEST(mean_decays)
{
	begin(1, SCHED_FASTEST);
	answer(0, 800);
	answer(0, 1600);
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[0].answers, now), 900 * 1000);
	answer(0, 100);
	ck_assert_uint_eq(fastest_mean_ns(&sched.servers[0].answers, now), 800 * 1000);
	for (unsigned i = 0; i < 200; i++)
		sched_answered(&sched, 0, UINT64_MAX, now);
	ck_assert_uint_le(fastest_mean_ns(&sched.servers[0].answers, now), FASTEST_UNANSWERED_NS);
	ck_assert_uint_ge(fastest_mean_ns(&sched.servers[0].answers, now),
	                  FASTEST_UNANSWERED_NS - 10);
	end();
}
END_TEST

/* Of two that are drawn one may be full, or both; then any that isn't, and in the end none. */
START_TEST(full_ones_are_no_choice)
{
	begin(4, SCHED_FASTEST);
	for (unsigned s = 0; s < 3; s++)
		rules->servers[s].max_connections = 1;
	for (unsigned i = 0; i < 200; i++) {
		uint16_t server = pick(1, 1);

		ck_assert_uint_lt(server, 4);
		sched_opened(&sched, server);
		sched_half_open_no_more(&sched, server);
	}
	for (unsigned s = 0; s < 3; s++)
		ck_assert_uint_le(sched.servers[s].connections, 1);
	ck_assert_uint_ge(sched.servers[3].connections, 197);
	rules->servers[3].max_connections = 1;
	health.changes++;
	for (unsigned s = 0; s < 3; s++)
		if (!sched.servers[s].connections) {
			sched_opened(&sched, s);
			sched_half_open_no_more(&sched, s);
		}
	ck_assert_uint_eq(pick(1, 1), SERVER_NONE);
	end();
}
END_TEST

Suite *fastest_suite(void)
{
	const TTest *const tests[] = {hash_goes_by_port_and_is_consistent,
	                              faster_ones_get_more,
	                              fastest_is_by_weight,
	                              equally_fast_ones_share,
	                              who_does_not_answer_gets_no_more,
	                              slowness_is_forgotten,
	                              mean_decays,
	                              full_ones_are_no_choice,
	                              NULL};

	return suite_of("fastest", tests);
}
