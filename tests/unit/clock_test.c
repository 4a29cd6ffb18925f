/*
 * The clock: what is read of two of them, by a process that may stand still in between.
 *
 * The test program is linked with --wrap for clock_gettime(), as memory.c has it.
 */
#include "suites.h"

#include "../../bridge/process/clock.h"

enum { STOOD_MS = 20, READS_MAX = 24 };

int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

static unsigned stops;  /* a bit for each of the next reads: before which of them it stands still */
static unsigned nreads; /* since stop_before() */

static void stop_before(unsigned bits)
{
	stops = bits;
	nreads = 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	const struct timespec stood = {.tv_nsec = STOOD_MS * (long)LB_NS_PER_MS};

	if (stops >> nreads & 1)
		nanosleep(&stood, NULL);
	if (stops && nreads < READS_MAX)
		nreads++;
	return __real_clock_gettime(id, ret);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Wherever it stands still between two of the reads of which an offset is made. */
START_TEST(the_offset_of_the_time_of_day_is_right_though_it_stands_still)
{
	const uint64_t is = clock_wall_offset();

	for (unsigned at = 0; at < 6; at++) {
		stop_before(1u << at);
		ck_assert_uint_lt(distance(clock_wall_offset(), is), LB_NS_PER_MS);
		stop_before(0);
	}
	stop_before(0x1b); /* and more than once */
	ck_assert_uint_lt(distance(clock_wall_offset(), is), LB_NS_PER_MS);
	stop_before(0);
}
END_TEST

Suite *clock_suite(void)
{
	const TTest *const tests[] = {the_offset_of_the_time_of_day_is_right_though_it_stands_still,
	                              NULL};

	return suite_of("clock", tests);
}
