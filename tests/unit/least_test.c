/*
 * The heap beside a list that is searched.
 */
#include "random.h"
#include "suites.h"

#include "../../bridge/process/least.h"

enum { THINGS = 300, STEPS = 20000 };

static uint64_t number[THINGS];

static uint64_t smallest(void)
{
	uint64_t ret = UINT64_MAX;

	for (unsigned i = 0; i < THINGS; i++)
		if (number[i] < ret)
			ret = number[i];
	return ret;
}

static void check_first(const struct least *least)
{
	require_eq(least_number(least), smallest());
	require_eq(number[least_first(least)], smallest());
}

START_TEST(the_first_one_is_the_smallest)
{
	struct least *least = least_new(THINGS);

	memset(number, 0xff, sizeof(number));
	for (unsigned i = 0; i < STEPS; i++) {
		uint32_t thing = (uint32_t)(random_next() % THINGS);

		number[thing] = random_next() % 16 ? random_next() % 1000 : UINT64_MAX;
		least_set(least, thing, number[thing]);
		check_first(least);
	}
	least_free(least);
}
END_TEST

START_TEST(many_at_once_come_out_in_order)
{
	struct least *least = least_new(THINGS);

	for (unsigned i = 0; i < THINGS; i++) {
		number[i] = random_next() % 100;
		least_note(least, i, number[i]);
	}
	least_order(least);
	for (unsigned i = 0; i < THINGS; i++) {
		check_first(least);
		number[least_first(least)] = UINT64_MAX;
		least_set(least, least_first(least), LEAST_NONE);
	}
	ck_assert(least_number(least) == UINT64_MAX);
	least_free(least);
}
END_TEST

START_TEST(of_nothing_there_is_none)
{
	struct least *least = least_new(0);

	ck_assert(least_number(least) == UINT64_MAX);
	least_order(least);
	least_free(least);
}
END_TEST

Suite *least_suite(void)
{
	const TTest *const tests[] = {the_first_one_is_the_smallest, many_at_once_come_out_in_order,
	                              of_nothing_there_is_none, NULL};

	return suite_of("least", tests);
}
