/*
 * What one thread has another one do: done in time, not begun, begun and not ended.
 */
#include "suites.h"

#include "../../bridge/process/clock.h"
#include "../../bridge/worker/errand.h"

#include <pthread.h>

enum { TIMES = 5000, SHORT_MS = 20, LONG_MS = 20000 };

static struct errand errand;
static unsigned done; /* by the doer, while he has an errand */
static atomic_bool over;

static void begin(void)
{
	errand_init(&errand);
	done = 0;
	atomic_store(&over, false);
}

/* Does whatever is sent, until it is over. */
static void *doer(void *arg)
{
	while (!atomic_load(&over))
		if (errand_begin(&errand)) {
			done++;
			errand_end(&errand);
		}
	return arg;
}

static enum errand_end wait_for(unsigned begin_ms, unsigned end_ms)
{
	const struct timespec begin_by = clock_in(begin_ms * LB_NS_PER_MS);
	const struct timespec end_by = clock_in(end_ms * LB_NS_PER_MS);

	return errand_wait(&errand, &begin_by, &end_by);
}

START_TEST(each_is_done_once_and_seen)
{
	pthread_t thread;

	begin();
	ck_assert_int_eq(pthread_create(&thread, NULL, doer, NULL), 0);
	for (unsigned i = 0; i < TIMES; i++) {
		errand_send(&errand);
		require(wait_for(LONG_MS, LONG_MS) == ERRAND_DONE);
		require_eq(done, i + 1);
	}
	atomic_store(&over, true);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(not_begun_in_time_it_is_taken_back)
{
	begin();
	ck_assert(!errand_begin(&errand));
	errand_send(&errand);
	ck_assert_int_eq(wait_for(SHORT_MS, LONG_MS), ERRAND_NOT_BEGUN);
	ck_assert(!errand_is_begun(&errand));
	ck_assert(!errand_begin(&errand));
}
END_TEST

/* The sender goes on; the doer keeps it, and the next one isn't taken for this one's end. */
START_TEST(begun_and_not_ended_it_stays_the_doers)
{
	begin();
	errand_send(&errand);
	ck_assert(errand_begin(&errand));
	ck_assert_int_eq(wait_for(SHORT_MS, SHORT_MS), ERRAND_NOT_ENDED);
	ck_assert(errand_is_begun(&errand));
	ck_assert(!errand_begin(&errand));
	errand_end(&errand);
	ck_assert(!errand_is_begun(&errand));

	errand_send(&errand);
	ck_assert_int_eq(wait_for(SHORT_MS, LONG_MS), ERRAND_NOT_BEGUN);
	errand_send(&errand);
	ck_assert(errand_begin(&errand));
	errand_end(&errand);
	ck_assert_int_eq(wait_for(LONG_MS, LONG_MS), ERRAND_DONE);
}
END_TEST

/* Its end comes while it is waited for, and wakes who waits. */
static void *slow(void *arg)
{
	while (!errand_begin(&errand))
		;
	while (!atomic_load(&over))
		;
	errand_end(&errand);
	return arg;
}

static void *ends_it(void *arg)
{
	const struct timespec at = {.tv_nsec = SHORT_MS * 1000000};

	nanosleep(&at, NULL);
	atomic_store(&over, true);
	return arg;
}

START_TEST(one_that_takes_longer_is_waited_for)
{
	pthread_t threads[2];

	begin();
	errand_send(&errand);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, slow, NULL), 0);
	while (!errand_is_begun(&errand))
		;
	ck_assert_int_eq(pthread_create(&threads[1], NULL, ends_it, NULL), 0);
	ck_assert_int_eq(wait_for(0, LONG_MS), ERRAND_DONE);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

Suite *errand_suite(void)
{
	const TTest *const tests[] = {
	        each_is_done_once_and_seen, not_begun_in_time_it_is_taken_back,
	        begun_and_not_ended_it_stays_the_doers, one_that_takes_longer_is_waited_for, NULL};

	return suite_of("errand", tests);
}
