/*
 * The table of what is dropped before the engine, when it is full.
 */
#include "../../lb/barred.h"
#include "suites.h"

#include <stdlib.h>

static struct barred *barred;

static void begin(void)
{
	barred = malloc(sizeof(*barred));
	barred_begin(barred, &(struct hash_key){{1, 2}});
}

/* Another one that has its place in the set of the first. */
static struct barred_syn neighbour(const struct barred_syn *first)
{
	struct barred_syn ret = *first;

	do
		ret.words[1]++;
	while (barred_set_at(barred, ret.words) != barred_set_at(barred, first->words));
	return ret;
}

/* One more than a set holds takes the place of the one that ends first. */
START_TEST(a_set_is_full)
{
	struct barred_syn syns[BARRED_WAYS + 1] = {{{1}, 5, 5}};
	const lb_time now = {LB_NS_PER_S};
	uint32_t kind = 0;

	begin();
	for (unsigned i = 1; i <= BARRED_WAYS; i++)
		syns[i] = neighbour(&syns[i - 1]);
	for (unsigned i = 0; i <= BARRED_WAYS; i++)
		barred_put(barred, &syns[i], i % BARRED_LIMITS,
		           (lb_time){now.ns + (i ^ 1) * LB_NS_PER_MS + LB_NS_PER_MS}, now);
	for (unsigned i = 0; i <= BARRED_WAYS; i++) {
		ck_assert_int_eq(barred_find(barred, &syns[i], now.ns, &kind), i != 1);
		ck_assert(i == 1 || kind == i % BARRED_LIMITS);
	}
	free(barred);
}
END_TEST

/* A place with more flows than it can count is the engine's from then on. */
START_TEST(a_place_of_flows_is_full)
{
	const be16 sport = be16_from(7);
	const uint8_t *n;

	begin();
	n = &barred->flows[barred_flow_at(barred, barred_hash_client(barred, 9),
	                                  csum_load(sport.b))];
	for (unsigned i = 1; i <= UINT8_MAX + 1; i++) {
		barred_flow(barred, 9, sport, true);
		ck_assert_uint_eq(*n, i < UINT8_MAX ? i : UINT8_MAX);
	}
	for (unsigned i = 0; i <= UINT8_MAX + 1; i++)
		barred_flow(barred, 9, sport, false);
	ck_assert_uint_eq(*n, UINT8_MAX);
	free(barred);
}
END_TEST

Suite *barred_full_suite(void)
{
	Suite *suite = suite_create("barred_full");
	TCase *tcase = tcase_create("barred_full");

	tcase_add_test(tcase, a_set_is_full);
	tcase_add_test(tcase, a_place_of_flows_is_full);
	suite_add_tcase(suite, tcase);
	return suite;
}
