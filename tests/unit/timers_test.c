/*
 * The heap by time, beside a list that is searched.
 */
#include "random.h"
#include "suites.h"

#include "../../bridge/worker/timers.h"

enum { THINGS = 300, STEPS = 20000 };

static uint64_t due[THINGS];

static uint64_t earliest(void)
{
	uint64_t ret = UINT64_MAX;

	for (unsigned i = 0; i < THINGS; i++)
		if (due[i] < ret)
			ret = due[i];
	return ret;
}

static void check_first(const struct timers *timers)
{
	require_eq(timers_due(timers).ns, earliest());
	require_eq(due[timers_first(timers)], earliest());
}

START_TEST(the_first_one_is_the_earliest)
{
	struct timers *timers = timers_new(THINGS);

	memset(due, 0xff, sizeof(due));
	for (unsigned i = 0; i < STEPS; i++) {
		uint32_t thing = (uint32_t)(random_next() % THINGS);

		due[thing] = random_next() % 16 ? random_next() % 1000 : UINT64_MAX;
		timers_set(timers, thing, (lb_time){due[thing]});
		check_first(timers);
	}
	timers_free(timers);
}
END_TEST

START_TEST(many_at_once_come_out_in_order)
{
	struct timers *timers = timers_new(THINGS);

	for (unsigned i = 0; i < THINGS; i++) {
		due[i] = random_next() % 100;
		timers_note(timers, i, (lb_time){due[i]});
	}
	timers_order(timers);
	for (unsigned i = 0; i < THINGS; i++) {
		check_first(timers);
		due[timers_first(timers)] = UINT64_MAX;
		timers_set(timers, timers_first(timers), TIMERS_NEVER);
	}
	ck_assert(timers_due(timers).ns == UINT64_MAX);
	timers_free(timers);
}
END_TEST

START_TEST(of_nothing_nothing_is_due)
{
	struct timers *timers = timers_new(0);

	ck_assert(timers_due(timers).ns == UINT64_MAX);
	timers_order(timers);
	timers_free(timers);
}
END_TEST

Suite *timers_suite(void)
{
	const TTest *const tests[] = {the_first_one_is_the_earliest, many_at_once_come_out_in_order,
	                              of_nothing_nothing_is_due, NULL};

	return suite_of("timers", tests);
}
