/*
 * The carrier of our own ports.
 */
#include "../../bridge/worker/carrier.h"
#include "suites.h"

static lb_time at_ms(uint64_t ms)
{
	return (lb_time){1 + ms * LB_NS_PER_MS};
}

START_TEST(what_was_sent_while_there_is_one)
{
	const struct hop inside = {.side = INSIDE}, outside = {.side = OUTSIDE};
	struct carrier carrier = {0};

	carrier_note(&carrier, INSIDE, true, at_ms(5000));
	ck_assert(carrier_was_there(&carrier, &inside, at_ms(0)));
	carrier_note(&carrier, INSIDE, false, at_ms(6000));
	for (uint64_t ms = 0; ms < 20000; ms += 500) {
		ck_assert(!carrier_was_there(&carrier, &inside, at_ms(ms)));
		ck_assert(!carrier_was_there(&carrier, NULL, at_ms(ms)));
		ck_assert(carrier_was_there(&carrier, &outside, at_ms(ms)));
	}
	carrier_note(&carrier, INSIDE, true, at_ms(20000));
	carrier_note(&carrier, INSIDE, true, at_ms(20500)); /* as before */
	for (uint64_t ms = 0; ms < 30000; ms += 500) {
		ck_assert_int_eq(carrier_was_there(&carrier, &inside, at_ms(ms)), ms >= 21000);
		ck_assert_int_eq(carrier_was_there(&carrier, NULL, at_ms(ms)), ms >= 21000);
		ck_assert(carrier_was_there(&carrier, &outside, at_ms(ms)));
	}
}
END_TEST

Suite *carrier_suite(void)
{
	const TTest *const tests[] = {what_was_sent_while_there_is_one, NULL};

	return suite_of("carrier", tests);
}
