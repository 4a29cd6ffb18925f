/*
 * The best of many, against all of them sorted.
 */
#include "fixture.h"
#include "random.h"
#include "suites.h"

#include "../../bridge/operator/best.h"
#include "../../lb/wire.h"

#include <stdlib.h>

enum { MANY = 3000, VALUES = 500 /* so that some are alike */ };

static int falling(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Offers n flows, and compares what is kept. */
static void compare(unsigned n, unsigned max)
{
	struct best *best = best_new(max);
	uint64_t ages[MANY], floor;

	ck_assert_ptr_nonnull(best);
	for (unsigned i = 0; i < n; i++) {
		ages[i] = random_below(VALUES);
		best_offer(best, ages[i], &(struct flow_view){.idle_ms = ages[i]});
	}
	qsort(ages, n, sizeof(ages[0]), falling);
	ck_assert_int_eq(best_floor(best, &floor), n >= max);
	ck_assert(n < max || floor == ages[max - 1]);
	for (unsigned i = 0; i < n && i < max; i++)
		ck_assert_uint_eq(best_take(best)->idle_ms, ages[i]);
	ck_assert_ptr_null(best_take(best));
	best_free(best);
}

START_TEST(keeps_the_largest_and_says_them_in_order)
{
	static const unsigned counts[] = {0, 1, 2, 19, 20, 21, BEST_MAX, MANY};

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		compare(counts[i], 1);
		compare(counts[i], 20);
		compare(counts[i], BEST_MAX);
	}
}
END_TEST

START_TEST(each_number_has_the_name_that_records_have)
{
	static const char *const names[] = {"age_ms",       "idle_ms",        "client_bytes",
	                                    "server_bytes", "client_packets", "server_packets"};
	struct engine engine;
	struct talk talk;
	struct flow_view view;
	enum flow_number number;

	engine_start(&engine, fixture_rules(1));
	talk_open(&talk, &engine, fixture_client(0), 20000, 443);
	talk_send(&talk, CLIENT, TCP_ACK, 100);
	talk_send(&talk, SERVER, TCP_ACK, 300);
	engine_wait_ms(&engine, 5000);
	flow_view(lb_balance(engine.lb), 0, engine.now, &view);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const uint64_t is[] = {view.age_ms,          view.idle_ms,
		                       view.bytes[CLIENT],   view.bytes[SERVER],
		                       view.packets[CLIENT], view.packets[SERVER]};

		ck_assert(flow_number_named(names[i], &number) && is[i] > 0);
		ck_assert_uint_eq(flow_number(lb_balance(engine.lb), 0, number, engine.now), is[i]);
	}
	ck_assert(!flow_number_named("client", &number));
	engine_stop(&engine);
}
END_TEST

Suite *best_suite(void)
{
	const TTest *const tests[] = {keeps_the_largest_and_says_them_in_order,
	                              each_number_has_the_name_that_records_have, NULL};

	return suite_of("best", tests);
}
