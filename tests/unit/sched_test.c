/*
 * Which server is next.
 */
#include "sched_fixture.h"
#include "random.h"

#include <stdlib.h>

START_TEST(held_connections_follow_the_weights)
{
	begin(2);
	rules->servers[0].weight = 3;
	for (unsigned i = 1; i <= 400; i++) {
		open_one();
		/* never further off than one connection */
		ck_assert_int_le(abs((int)sched.servers[0].connections * 4 - (int)i * 3), 4);
	}
	ck_assert_uint_eq(sched.servers[0].connections, 300);
	ck_assert_uint_eq(sched.servers[1].connections, 100);
	end();
}
END_TEST

START_TEST(connect_and_close_follows_the_weights)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	rules->servers[0].weight = 3;
	for (unsigned i = 0; i < 50; i++) {
		connect_and_close(4, got);
		ck_assert_uint_eq(got[0], 3);
		ck_assert_uint_eq(got[1], 1);
	}
	end();
}
END_TEST

/*
 * A scheduler that is told of another one's turns goes on as that would, whatever it took itself.
 */
START_TEST(turns_are_recalled)
{
	uint64_t turns[FIXTURE_SERVERS], farm_turn;
	uint16_t next[8];

	begin(FIXTURE_SERVERS);
	for (unsigned i = 0; i < 3; i++)
		sched_closed(&sched, open_one(), true);
	farm_turn = sched.turns[0];
	for (unsigned s = 0; s < FIXTURE_SERVERS; s++)
		turns[s] = sched.servers[s].turn;
	for (unsigned i = 0; i < 8; i++)
		sched_closed(&sched, next[i] = open_one(), true);
	sched_closed(&sched, open_one(), true);
	for (unsigned s = 0; s < FIXTURE_SERVERS; s++)
		sched_recall(&sched, s, turns[s], farm_turn);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now),
		                  next[i]);
		sched_closed(&sched, open_one(), true);
	}
	end();
}
END_TEST

START_TEST(odd_weights_in_proportion)
{
	const uint8_t weights[FIXTURE_SERVERS] = {1, 7, 100, 33};
	unsigned got[FIXTURE_SERVERS];

	struct rules *from = fixture_rules(FIXTURE_SERVERS);

	for (unsigned s = 0; s < FIXTURE_SERVERS; s++)
		from->servers[s].weight = weights[s];
	begin_with(from);
	connect_and_close(141 * 10, got);
	for (unsigned s = 0; s < FIXTURE_SERVERS; s++)
		ck_assert_int_le(abs((int)got[s] - weights[s] * 10), 2);
	end();
}
END_TEST

START_TEST(equals_alternate)
{
	begin(2);
	for (unsigned i = 0; i < 100; i++) {
		uint16_t first = open_one(), second;

		sched_closed(&sched, first, true);
		second = open_one();
		ck_assert_uint_ne(first, second);
		sched_closed(&sched, second, true);
	}
	end();
}
END_TEST

START_TEST(four_rotate)
{
	unsigned got[FIXTURE_SERVERS];

	begin(4);
	for (unsigned i = 0; i < 20; i++) {
		connect_and_close(4, got);
		for (unsigned s = 0; s < 4; s++)
			ck_assert_uint_eq(got[s], 1);
	}
	end();
}
END_TEST

START_TEST(fewest_connections_win)
{
	begin(2);
	for (unsigned i = 0; i < 10; i++)
		sched_opened(&sched, 0);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(open_one(), 1);
	for (unsigned i = 0; i < 5; i++)
		sched_closed(&sched, 0, true);
	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(open_one(), 0);
	end();
}
END_TEST

/* A server left out for 1000 connections gets one turn more at most when it is back. */
START_TEST(turns_missed_are_not_made_up_for)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	connect_and_close(10, got);
	rules->servers[1].state = STATE_DRAIN;
	rules_changed();
	connect_and_close(1000, got);
	ck_assert_uint_eq(got[0], 1000);
	rules->servers[1].state = STATE_ACTIVE;
	rules_changed();
	connect_and_close(20, got);
	ck_assert_uint_le(got[1], 11);
	ck_assert_uint_ge(got[1], 10);
	end();
}
END_TEST

/* One that held old connections, so that it was never picked, neither. */
START_TEST(busy_server_does_not_save_up_turns)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	sched_opened(&sched, 1);
	sched_opened(&sched, 1);
	connect_and_close(500, got);
	ck_assert_uint_eq(got[0], 500);
	sched_closed(&sched, 1, true);
	sched_closed(&sched, 1, true);
	connect_and_close(20, got);
	ck_assert_uint_le(got[1], 11);
	ck_assert_uint_ge(got[1], 10);
	end();
}
END_TEST

START_TEST(weight_zero_and_drain_take_nothing)
{
	begin(3);
	rules->servers[0].weight = 0;
	rules->servers[1].state = STATE_DRAIN;
	ck_assert(!sched_may_take(&sched, 0));
	ck_assert(!sched_may_take(&sched, 1));
	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(open_one(), 2);
	rules->servers[2].state = STATE_DISABLED;
	rules_changed();
	ck_assert(!sched_is_up(&sched, 0));
	ck_assert_uint_eq(pick_server(&sched, 0, fixture_client(1), be16_from(0), now),
	                  SERVER_NONE);
	end();
}
END_TEST

/* A connection that is being closed is one still, but no load. */
START_TEST(closing_is_no_load)
{
	begin(2);
	for (unsigned i = 0; i < 10; i++)
		sched_opened(&sched, 0);
	for (unsigned i = 0; i < 5; i++)
		sched_opened(&sched, 1);
	for (unsigned i = 0; i < 9; i++)
		sched_closing(&sched, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(open_one(), 0);
	for (unsigned i = 0; i < 9; i++)
		sched_closed(&sched, 0, false);
	ck_assert_uint_eq(sched.servers[0].connections, 5);
	ck_assert_uint_eq(sched.servers[0].load, 5);
	end();
}
END_TEST

START_TEST(totals_stay)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	connect_and_close(100, got);
	ck_assert_uint_eq(sched.servers[0].connections, 0);
	ck_assert_uint_eq(sched.servers[0].connections_total + sched.servers[1].connections_total,
	                  100);
	end();
}
END_TEST

START_TEST(farms_do_not_mix)
{
	begin_with(fixture_two_farms());
	for (unsigned i = 0; i < 50; i++) {
		uint16_t server = pick_server(&sched, 1, fixture_client(1), be16_from(0), now);

		ck_assert(server == 2 || server == 3);
		sched_opened(&sched, server);
	}
	ck_assert_uint_lt(pick_server(&sched, 0, fixture_client(1), be16_from(0), now), 2);
	end();
}
END_TEST

static void use(enum rules_scheduler scheduler)
{
	rules->farms[0].scheduler = scheduler;
}

START_TEST(lc_ignores_weights)
{
	begin(2);
	use(SCHED_LC);
	rules->servers[0].weight = 50;
	for (unsigned i = 0; i < 100; i++)
		open_one();
	ck_assert_uint_eq(sched.servers[0].connections, 50);
	end();
}
END_TEST

START_TEST(rr_ignores_weights_and_load)
{
	unsigned got[FIXTURE_SERVERS] = {0};

	begin(3);
	use(SCHED_RR);
	rules->servers[0].weight = 50;
	for (unsigned i = 0; i < 20; i++)
		sched_opened(&sched, 1);
	for (unsigned i = 0; i < 30; i++)
		open_one();
	connect_and_close(30, got);
	for (unsigned s = 0; s < 3; s++)
		ck_assert_int_le(abs((int)got[s] - 10), 1);
	end();
}
END_TEST

START_TEST(wrr_ignores_load)
{
	begin(2);
	use(SCHED_WRR);
	rules->servers[0].weight = 3;
	for (unsigned i = 0; i < 400; i++)
		open_one();
	ck_assert_int_le(abs((int)sched.servers[0].connections_total - 300), 1);
	end();
}
END_TEST

/* The same client, the same server, in any order; in proportion to the weights; losing one moves
 * only its own. */
START_TEST(source_sticks)
{
	static uint16_t before[4000];
	unsigned got[FIXTURE_SERVERS] = {0};

	begin(3);
	use(SCHED_SOURCE);
	rules->servers[2].weight = 2;
	for (unsigned c = 0; c < 4000; c++) {
		before[c] = pick_server(&sched, 0, fixture_client(c), be16_from(0), now);
		got[before[c]]++;
		sched_opened(&sched, before[c]);
		require_eq(pick_server(&sched, 0, fixture_client(c), be16_from(0), now), before[c]);
	}
	ck_assert_int_le(abs((int)got[0] - 1000), 130);
	ck_assert_int_le(abs((int)got[1] - 1000), 130);
	ck_assert_int_le(abs((int)got[2] - 2000), 160);
	rules->servers[1].state = STATE_DRAIN;
	for (unsigned c = 0; c < 4000; c++) {
		uint16_t server = pick_server(&sched, 0, fixture_client(c), be16_from(0), now);

		require(before[c] == 1 ? server != 1 : server == before[c]);
	}
	end();
}
END_TEST

/* After years of connections. */
START_TEST(turns_survive_the_wrap)
{
	unsigned got[FIXTURE_SERVERS];

	begin(2);
	connect_and_close(2, got);
	sched.turns[0] += UINT64_MAX - (3ull << 32);
	for (unsigned s = 0; s < 2; s++)
		sched.servers[s].turn += UINT64_MAX - (3ull << 32);
	connect_and_close(40, got);
	ck_assert_uint_ge(got[0], 19);
	ck_assert_uint_ge(got[1], 19);
	end();
}
END_TEST

/* The rule as sched.c's first comment states it, for all but `source`: the stupid twin. */
static uint16_t pick_slowly(lb_time at)
{
	const struct rules_farm *farm = &rules->farms[0];
	const bool weighted = farm->scheduler == SCHED_WLC || farm->scheduler == SCHED_WRR;
	const bool by_load = farm->scheduler == SCHED_WLC || farm->scheduler == SCHED_LC;
	uint16_t best = SERVER_NONE;
	double best_load = 0;

	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct rules_server *rule = &rules->servers[s];
		const struct sched_server *state = &sched.servers[s];
		unsigned share = (weighted ? rule->weight : 1u) * health_ramp(&health, s, at);
		double load = by_load ? (double)state->load / share : 0;

		if (!sched_may_take(&sched, s))
			continue;
		if (rule->max_connections && state->connections >= rule->max_connections) {
			if (!state->half_open)
				continue;
			load = 1e9; /* after all that have room */
		}
		if (best == SERVER_NONE || load < best_load ||
		    (load == best_load && (int64_t)(state->turn - sched.servers[best].turn) < 0)) {
			best = (uint16_t)s;
			best_load = load;
		}
	}
	return best;
}

enum { TWIN_SERVERS = 9, TWIN_STEPS = 30000 };

static struct rules *twin_rules(enum rules_scheduler scheduler)
{
	struct rules *from = checked_rules(TWIN_SERVERS, 1);

	from->farms[0].scheduler = scheduler;
	for (unsigned s = 0; s < TWIN_SERVERS; s++) {
		from->servers[s].weight = (uint8_t)random_below(s ? 5 : 101);
		from->servers[s].state = random_below(4) ? STATE_ACTIVE : STATE_STANDBY;
		from->servers[s].max_connections = random_below(3) ? 0 : random_below(30);
	}
	return from;
}

/* Something happens to a server; loads and the rest say how many connections of each it has. */
static void twin_step(unsigned loads[TWIN_SERVERS], unsigned rest[TWIN_SERVERS], lb_time *at)
{
	unsigned s = random_below(TWIN_SERVERS);
	uint16_t picked;

	at->ns += random_below(2000) * LB_NS_PER_MS * (random_below(50) == 0);
	if (random_below(100) == 0) {
		health_report(&health, s, 0, random_below(3), *at);
	} else if (random_below(100) < 45) {
		if (loads[s] && random_below(2)) {
			loads[s]--;
			rest[s]++;
			sched_closing(&sched, s);
		} else if (loads[s]) {
			loads[s]--;
			sched_closed(&sched, s, true);
		}
	} else if (random_below(100) < 10 && sched.servers[s].half_open) {
		sched_half_open_no_more(&sched, s);
	} else if (random_below(100) < 25 && rest[s]) {
		rest[s]--;
		sched_closed(&sched, s, false);
	} else {
		picked = pick_server(&sched, 0, fixture_client(1), be16_from(0), *at);
		require_eq(picked, pick_slowly(*at));
		if (picked == SERVER_NONE)
			return;
		if (sched_is_full(&sched, picked)) { /* one makes room */
			bool was_load = loads[picked] > 0;

			loads[picked] -= was_load;
			rest[picked] -= !was_load;
			sched_half_open_no_more(&sched, picked);
			sched_closed(&sched, picked, was_load);
		}
		loads[picked]++;
		sched_opened(&sched, picked);
		if (random_below(4))
			sched_half_open_no_more(&sched, picked);
	}
}

START_TEST(choices_are_those_of_the_rule)
{
	for (unsigned scheduler = SCHED_WLC; scheduler < SCHED_SOURCE; scheduler++) {
		unsigned loads[TWIN_SERVERS] = {0}, rest[TWIN_SERVERS] = {0};
		lb_time at = now;

		begin_with(twin_rules((enum rules_scheduler)scheduler));
		for (unsigned i = 0; i < TWIN_STEPS; i++)
			twin_step(loads, rest, &at);
		end();
	}
}
END_TEST

/* A server that was out meanwhile still has its turn: one step stands for many connections. */
START_TEST(turns_compare_after_billions_of_connections)
{
	static const uint64_t billions[] = {1, 2, 3, 4, 5, 1000};
	uint64_t step;

	for (unsigned i = 0; i < sizeof(billions) / sizeof(billions[0]); i++) {
		begin(2);
		rules->farms[0].scheduler = SCHED_RR;
		sched_opened(&sched, 1);
		step = sched.servers[1].turn;
		sched_opened(&sched, 1);
		step = sched.servers[1].turn - step;
		sched.servers[1].turn += step * billions[i] * 1000 * 1000 * 1000;
		sched.turns[0] = sched.servers[1].turn - step;
		ck_assert_uint_eq(open_one(), 0);
		end();
	}
}
END_TEST

Suite *sched_suite(void)
{
	const TTest *const tests[] = {
	        held_connections_follow_the_weights,
	        connect_and_close_follows_the_weights,
	        turns_are_recalled,
	        odd_weights_in_proportion,
	        equals_alternate,
	        four_rotate,
	        fewest_connections_win,
	        turns_missed_are_not_made_up_for,
	        busy_server_does_not_save_up_turns,
	        weight_zero_and_drain_take_nothing,
	        closing_is_no_load,
	        totals_stay,
	        farms_do_not_mix,
	        lc_ignores_weights,
	        rr_ignores_weights_and_load,
	        wrr_ignores_load,
	        source_sticks,
	        turns_survive_the_wrap,
	        choices_are_those_of_the_rule,
	        turns_compare_after_billions_of_connections,
	        NULL,
	};

	return suite_of("sched", tests);
}
