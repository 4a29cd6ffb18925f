/*
 * Who is let in during a flood of SYNs: clients that are known, those that ask again, and the first
 * of the others in each second.
 */
#include "flood_fixture.h"
#include "suites.h"

#include "../../lb/strangers.h"

#include <stdlib.h>

enum {
	PORT = FLOOD_PORT,
	PER_S = FLOOD_PER_S,
	REPEATS_PER_S = 5000,
	PRESSED = PER_S / 20, /* at once */
	KNOWN_SYNS = 250,
	KNOWN_S = 1800,
};

static struct strangers strangers;
static void *memory;
static lb_time now;

/* As a worker has it, of so many. */
static void begin(uint16_t workers)
{
	const struct hash_key key = {{0x0123456789abcdef, 0xfedcba9876543211}};
	const struct share share = {.n = workers, .worker = 0};
	struct arena arena = {0};

	now.ns = 17 * LB_NS_PER_S;
	strangers_lay_out(&strangers, &arena, &share, &key, now);
	memory = aligned_alloc(ARENA_ALIGN, arena.used);
	arena = (struct arena){.base = memory};
	strangers_lay_out(&strangers, &arena, &share, &key, now);
	now.ns += 10 * LB_NS_PER_S;
}

static void wait_ms(uint64_t ms)
{
	now.ns += ms * LB_NS_PER_MS;
}

/* A SYN of that number, of a client of its own; likewise. */
static bool ask(unsigned syn)
{
	const struct tuple tuple =
	        tuple_of(be32_from(0x0b000000 + syn), fixture_vip(), be16_from(1), be16_from(PORT));
	const uint64_t factors[4] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
	                             0xd6e8feb86659fd93};

	return strangers_admit(&strangers, be32_get(tuple.src), tuple_multilinear(factors, &tuple),
	                       now);
}

/* That client has opened a connection. */
static void meet(unsigned client)
{
	strangers_met(&strangers, 0x0b000000 + client, now);
}

/* How many of n are let in, numbered from first. */
static unsigned ask_all(unsigned first, unsigned n)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < n; i++)
		admitted += ask(first + i);
	return admitted;
}

START_TEST(so_many_a_second)
{
	begin(1);
	ck_assert_uint_eq(ask_all(0, PER_S), PER_S);
	ck_assert(!ask(PER_S));
	wait_ms(500);
	ck_assert_uint_eq(ask_all(100000, PER_S), PER_S / 2);
	wait_ms(5000); /* saves up no more than a second's */
	ck_assert_uint_eq(ask_all(200000, PER_S + 100), PER_S);
	free(memory);
}
END_TEST

START_TEST(workers_share_the_rate)
{
	unsigned admitted;

	begin(3);
	admitted = ask_all(0, PER_S);

	ck_assert_uint_ge(admitted, PER_S / 3);
	ck_assert_uint_le(admitted, PER_S / 3 + 20); /* who is taken for one that asks again */
	free(memory);
}
END_TEST

/* 1 s later, or 3 s. Who comes 6 s later has to ask twice again. */
START_TEST(who_asks_again_is_let_in)
{
	static const unsigned ms[] = {1000, 2999, 3001, 6100};

	for (unsigned i = 0; i < 4; i++) {
		begin(1);
		ask_all(0, PER_S);
		ck_assert(!ask(PER_S) && !ask(PER_S + 1));
		wait_ms(ms[i]);
		ask_all(100000, PER_S);
		ck_assert_int_eq(ask(PER_S), ms[i] < 6000);
		ck_assert(ask(PER_S) || ms[i] < 6000);
		free(memory);
	}
}
END_TEST

/* So many of these a second as of the others. */
START_TEST(a_flood_that_asks_again_is_one)
{
	begin(1);
	ask_all(0, 3 * PER_S);
	wait_ms(1000);
	ck_assert_uint_le(ask_all(0, 3 * PER_S), 2 * PER_S);
	free(memory);
}
END_TEST

/* One in 28 is taken for somebody who asks again, at 300,000 a second, and of a worker's share. */
START_TEST(a_flood_seldom_looks_like_asking_again)
{
	const unsigned workers = _i ? 4 : 1, rate = 300000 / workers, others = PER_S / workers;
	unsigned admitted = 0;

	begin((uint16_t)workers);
	for (unsigned s = 0; s < 6; s++) {
		admitted = ask_all(s * rate, rate);
		wait_ms(1000);
	}
	ck_assert_uint_ge(admitted, others);
	ck_assert_uint_le(admitted, others + rate / 28);
	free(memory);
}
END_TEST

/* While frames wait, no more at once than of a small part of a second; in all as many as ever. */
START_TEST(few_at_once_while_frames_wait)
{
	unsigned admitted = 0;

	begin(1);
	strangers_press(&strangers, now);
	for (unsigned i = 0; i < 2; i++) { /* the second time they ask again */
		admitted = ask_all(0, PER_S);
		ck_assert_uint_ge(admitted, PRESSED - 20);
		ck_assert_uint_le(admitted, PRESSED + 20);
	}
	admitted = 0;
	for (unsigned ms = 0; ms < 1000; ms++) {
		wait_ms(1);
		strangers_press(&strangers, now);
		admitted += ask_all(100000 + 300 * ms, 300);
	}
	ck_assert_uint_ge(admitted, PER_S);
	ck_assert_uint_le(admitted, PER_S + 300000 / 28);
	free(memory);
}
END_TEST

/* Of SYNs that repeat what has been let in; a known client's go on as if they began something. */
START_TEST(repeats_have_a_rate_of_their_own)
{
	unsigned passed = 0;

	begin(1);
	meet(7);
	ask_all(100, PER_S);
	for (unsigned i = 0; i < 2 * REPEATS_PER_S; i++)
		passed += strangers_repeats(&strangers, 0x0b000000 + 99999, now);
	ck_assert_uint_eq(passed, REPEATS_PER_S);
	ck_assert(!ask(0) && ask(0)); /* who asks again isn't affected */
	for (passed = 0; strangers_repeats(&strangers, 0x0b000000 + 7, now);)
		passed++;
	ck_assert_uint_eq(passed, KNOWN_SYNS);
	free(memory);
}
END_TEST

START_TEST(known_clients_are_let_in)
{
	begin(1);
	meet(99999);
	ask_all(0, PER_S);
	for (unsigned i = 0; i < KNOWN_SYNS; i++)
		ck_assert(ask(99999));
	ck_assert(!ask(99999)); /* somebody uses his name: he's no better than others */
	ck_assert(!ask(99998));
	wait_ms(1000);
	ask_all(100000, PER_S);
	ck_assert(ask(99999));
	free(memory);
}
END_TEST

START_TEST(who_was_here_long_ago_is_a_stranger)
{
	for (unsigned late = 0; late < 2; late++) {
		begin(1);
		meet(99999);
		wait_ms(KNOWN_S * 1000 + late * 2000);
		ask_all(0, PER_S);
		ck_assert_int_eq(ask(99999), !late);
		free(memory);
	}
}
END_TEST

/* Of a table that is full the latest are known. */
START_TEST(the_latest_are_known)
{
	unsigned known = 0;

	begin(1);
	for (unsigned i = 0; i < 200000; i++) {
		meet(0x100000 + i);
		now.ns += LB_NS_PER_MS;
	}
	ask_all(0, PER_S);
	for (unsigned i = 190000; i < 200000; i++)
		known += ask(0x100000 + i);
	ck_assert_uint_ge(known, 9900);
	free(memory);
}
END_TEST

/* ---- Through the engine ---- */

START_TEST(a_flood_takes_nobody_away)
{
	struct talk talk;

	begin_engine(most_half_open[_i]);
	talk_open(&talk, &engine, fixture_client(1), 1, PORT);
	flood(most_half_open[_i]);
	require_turned_away(knock(2, 1));
	ck_assert_uint_ge(lb_balance(engine.lb)->counts.refused, 1);
	ck_assert_uint_eq(knock(1, 2), WHY_FLOW_NEW); /* he has been here */
	ck_assert_uint_eq(talk_send(&talk, CLIENT, TCP_ACK, 10).why, WHY_FLOW_HIT);
	engine.now.ns += LB_NS_PER_S;
	flood(most_half_open[_i]);
	ck_assert_uint_eq(knock(2, 1), WHY_FLOW_NEW); /* asks again */
	require_turned_away(knock(3, 1));
	engine_stop(&engine);
}
END_TEST

/* Fewer than half are half-open, but frames wait. */
START_TEST(frames_that_wait_make_a_flood)
{
	struct talk talk;

	begin_engine(65536);
	talk_open(&talk, &engine, fixture_client(1), 1, PORT);
	lb_press(engine.lb, engine.now);
	flood(0);
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.created, 1 + PRESSED);
	require_turned_away(knock(2, 1));
	ck_assert_uint_eq(knock(1, 2), WHY_FLOW_NEW);
	engine.now.ns += LB_NS_PER_S - 1;
	flood(0);
	require_turned_away(knock(2, 2));
	engine.now.ns++;
	for (unsigned i = 0; i < PER_S + 100; i++)
		ck_assert_uint_eq(knock(2, (uint16_t)(3 + i)), WHY_FLOW_NEW);
	engine_stop(&engine);
}
END_TEST

/* The same SYN again and again: its server has it. */
START_TEST(a_flood_of_one_syn_passes_seldom)
{
	unsigned passed = 0;
	struct talk talk;

	begin_engine(65536);
	talk_open(&talk, &engine, fixture_client(1), 1, PORT);
	ck_assert_uint_eq(knock(1, 2), WHY_FLOW_NEW);
	ck_assert_uint_eq(knock(9, 1), WHY_FLOW_NEW);
	for (unsigned i = 0; i < 2 * REPEATS_PER_S; i++)
		ck_assert_uint_eq(knock(9, 1), WHY_FLOW_HIT);
	flood(40000);
	for (unsigned i = 0; i < 2 * REPEATS_PER_S; i++)
		passed += knock(9, 1) == WHY_FLOW_HIT;
	ck_assert_uint_eq(passed, REPEATS_PER_S);
	ck_assert_uint_eq(knock(9, 1), WHY_STRANGER);
	ck_assert_uint_eq(knock(1, 2), WHY_FLOW_HIT); /* he has been here */
	engine_stop(&engine);
}
END_TEST

/* While fewer than half are half-open there is no flood, however many come. */
START_TEST(without_a_flood_nobody_is_a_stranger)
{
	struct talk talk;

	begin_engine(most_half_open[_i]);
	for (unsigned i = 0; i < 2 * PER_S; i++) {
		talk_open(&talk, &engine, fixture_client(i / 16), (uint16_t)(1 + i % 16), PORT);
		talk_send(&talk, CLIENT, TCP_RST, 0);
		if (i % 500 == 0)
			engine_wait_ms(&engine, BALANCE_RESET_S * 1000 + 1000);
	}
	ck_assert_uint_eq(lb_balance(engine.lb)->counts.refused, 0);
	engine_stop(&engine);
}
END_TEST

Suite *strangers_suite(void)
{
	const TTest *const tests[] = {so_many_a_second,
	                              workers_share_the_rate,
	                              who_asks_again_is_let_in,
	                              a_flood_that_asks_again_is_one,
	                              few_at_once_while_frames_wait,
	                              repeats_have_a_rate_of_their_own,
	                              known_clients_are_let_in,
	                              who_was_here_long_ago_is_a_stranger,
	                              the_latest_are_known,
	                              NULL};
	Suite *suite = suite_of("strangers", tests);
	TCase *rates = tcase_create("rates"), *engines = tcase_create("engine");
	const int sizes = sizeof(most_half_open) / sizeof(*most_half_open);

	tcase_add_loop_test(rates, a_flood_seldom_looks_like_asking_again, 0, 2);
	suite_add_tcase(suite, rates);
	tcase_add_loop_test(engines, a_flood_takes_nobody_away, 0, sizes);
	tcase_add_loop_test(engines, without_a_flood_nobody_is_a_stranger, 0, sizes / 2);
	tcase_add_test(engines, frames_that_wait_make_a_flood);
	tcase_add_test(engines, a_flood_of_one_syn_passes_seldom);
	suite_add_tcase(suite, engines);
	return suite;
}
