/*
 * Going before all other threads for a while: when that begins and ends, by given times; and what
 * the kernel is told of it.
 */
#include "suites.h"

#include "../../bridge/process/limits.h"
#include "../../bridge/process/rush.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static lb_time at_ms(uint64_t ms)
{
	return (lb_time){1 + ms * LB_NS_PER_MS};
}

/* Asked each millisecond; says for how many of them it was on. */
static uint64_t press(struct rush *rush, bool pressed, uint64_t from_ms, uint64_t to_ms)
{
	uint64_t on = 0;

	for (uint64_t ms = from_ms; ms < to_ms; ms++) {
		rush_turns(rush, pressed, at_ms(ms));
		on += rush->is_on;
	}
	return on;
}

START_TEST(it_lasts_as_long_as_much_is_waiting_and_a_little_longer)
{
	struct rush rush;

	rush_open(&rush, true, at_ms(0));
	ck_assert(!rush_turns(&rush, false, at_ms(1)) && !rush.is_on);
	ck_assert(rush_turns(&rush, true, at_ms(2)) && rush.is_on);
	ck_assert_uint_eq(press(&rush, true, 3, 300), 297);
	ck_assert(!rush_turns(&rush, false, at_ms(299 + RUSH_CALM_MS - 1)) && rush.is_on);
	ck_assert(!rush_turns(&rush, true, at_ms(299 + RUSH_CALM_MS - 1)) && rush.is_on);
	ck_assert(!rush_turns(&rush, false, at_ms(299 + RUSH_CALM_MS)) && rush.is_on);
	ck_assert(rush_turns(&rush, false, at_ms(299 + 2 * RUSH_CALM_MS)) && !rush.is_on);
	ck_assert_uint_eq(press(&rush, false, 400, 1000), 0);
	ck_assert_uint_eq(rush.times, 1);
}
END_TEST

START_TEST(who_may_not_does_not)
{
	struct rush rush;

	rush_open(&rush, false, at_ms(0));
	ck_assert_uint_eq(press(&rush, true, 1, 1000), 0);
	ck_assert_uint_eq(rush.times, 0);
}
END_TEST

/* The first time as long as it may, and then a fifth of the time. */
START_TEST(what_never_ends_leaves_most_of_the_time_to_others)
{
	struct rush rush;
	uint64_t on, first;

	rush_open(&rush, true, at_ms(0));
	first = press(&rush, true, 0, RUSH_LONGEST_MS + RUSH_REST * RUSH_LEAST_MS);
	ck_assert_uint_eq(first, RUSH_LONGEST_MS);
	on = press(&rush, true, RUSH_LONGEST_MS + RUSH_REST * RUSH_LEAST_MS, 100000);
	ck_assert_uint_le(on, (100000 - RUSH_LONGEST_MS) / (RUSH_REST + 1));
	ck_assert_uint_ge(on, (100000 - RUSH_LONGEST_MS) / (RUSH_REST + 1) * 9 / 10);
	ck_assert_uint_le(rush.times, 1 + on / (RUSH_LEAST_MS - 1));
}
END_TEST

/* However what is waiting comes and goes. */
START_TEST(it_is_paid_for_whatever_the_pattern)
{
	for (uint64_t period = 1; period < 20000; period = period * 3 / 2 + 1)
		for (uint64_t part = 1; part <= 4; part++) {
			struct rush rush;
			uint64_t on = 0, ms;

			rush_open(&rush, true, at_ms(0));
			for (ms = 0; ms < 60000; ms++) {
				rush_turns(&rush, ms % period * 4 < part * period, at_ms(ms));
				on += rush.is_on;
				ck_assert_uint_le(on, RUSH_LONGEST_MS + ms / (RUSH_REST + 1) + 1);
			}
		}
}
END_TEST

START_TEST(rest_brings_it_back_in_full_and_not_more)
{
	struct rush rush;
	uint64_t at = 0;

	rush_open(&rush, true, at_ms(0));
	at = 10 * RUSH_LONGEST_MS;
	ck_assert_uint_eq(press(&rush, true, at, at + 2 * RUSH_LONGEST_MS) / 1000,
	                  (RUSH_LONGEST_MS + RUSH_LONGEST_MS / (RUSH_REST + 1)) / 1000);
	press(&rush, false, at + 2 * RUSH_LONGEST_MS, at + 2 * RUSH_LONGEST_MS + RUSH_CALM_MS + 1);
	at += 2 * RUSH_LONGEST_MS + RUSH_REST * RUSH_LONGEST_MS + 2 * RUSH_CALM_MS;
	ck_assert_uint_eq(press(&rush, true, at, at + RUSH_LONGEST_MS + 100), RUSH_LONGEST_MS);
	/* a thousand days without a question are a rest like any other */
	at += 86400000000;
	ck_assert_uint_eq(press(&rush, true, at, at + RUSH_LONGEST_MS + 100), RUSH_LONGEST_MS);
}
END_TEST

/* ---- The kernel's part: in threads that take what they have got into their graves ---- */

static void *go_and_return(void *arg)
{
	struct rush rush;

	(void)arg;
	rush_open(&rush, true, at_ms(0));
	rush_look(&rush, true, at_ms(1));
	if (!rush.may)
		return NULL; /* it isn't allowed to, and knows */
	ck_assert_int_eq(sched_getscheduler(0), SCHED_FIFO);
	rush_look(&rush, false, at_ms(2));
	ck_assert_int_eq(sched_getscheduler(0), SCHED_FIFO);
	rush_look(&rush, false, at_ms(3 + RUSH_CALM_MS));
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
	ck_assert(rush.may);
	return NULL;
}

/* As by chrt, before it begins and while it is on. */
static void *be_scheduled(void *arg)
{
	const struct sched_param param = {.sched_priority = 0};
	struct rush rush;

	(void)arg;
	rush_open(&rush, true, at_ms(0));
	rush_look(&rush, true, at_ms(1));
	if (rush.may) {
		ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &param), 0);
		rush_look(&rush, false, at_ms(1000));
		ck_assert_int_eq(sched_getscheduler(0), SCHED_BATCH);
		ck_assert(!rush.may && !rush.is_on);
	}
	rush_open(&rush, true, at_ms(0));
	ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &param), 0);
	rush_look(&rush, true, at_ms(1));
	ck_assert_int_eq(sched_getscheduler(0), SCHED_BATCH);
	ck_assert(!rush.may && !rush.is_on);
	return NULL;
}

/* How many threads may, or a negative errno. */
static void allow_here(int *ret)
{
	struct rush_leave leave;
	const int err = rush_allow(&leave);

	*ret = err ? err : (int)leave.threads;
}

static void *allow(void *arg)
{
	allow_here(arg);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_OTHER);
	return NULL;
}

static void *allow_on_one(void *arg)
{
	cpu_set_t set, one;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	CPU_ZERO(&one);
	for (size_t i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &set))
			CPU_SET(i, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	allow_here(arg);
	return NULL;
}

static void *allow_batch(void *arg)
{
	const struct sched_param param = {.sched_priority = 0};

	ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &param), 0);
	allow_here(arg);
	ck_assert_int_eq(sched_getscheduler(0), SCHED_BATCH);
	return NULL;
}

static void *run(void *(*what)(void *), void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, what, arg), 0);
	pthread_join(thread, NULL);
	return arg;
}

START_TEST(kernels_that_it_suits)
{
	const char *const good[] = {"6.5.0", "6.5", "6.12.9-amd64", "6.18.1", "7.0.0", "10.1"};
	const char *const bad[] = {
	        "6.4.16", "6.1.0-57-amd64", "5.14.0-427.el9", "5.5", "4.19.0", "6", "linux", ""};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert(rush_suits(good[i]));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert(!rush_suits(bad[i]));
}
END_TEST

static unsigned most(void)
{
	struct utsname kernel;

	ck_assert_int_eq(uname(&kernel), 0);
	return limits_processors() > 1 && rush_suits(kernel.release) ? limits_processors() : 0;
}

START_TEST(as_many_threads_may_as_there_are_processors)
{
	int n = -1;

	run(allow, &n);
	if (n >= 0)
		ck_assert_int_eq(n, (int)most());
	run(go_and_return, NULL);
}
END_TEST

START_TEST(not_on_one_processor_nor_if_it_is_scheduled_otherwise)
{
	int n = -1;

	ck_assert_int_eq(*(int *)run(allow_on_one, &n), 0);
	n = -1;
	ck_assert_int_eq(*(int *)run(allow_batch, &n), 0);
}
END_TEST

/* By SIGXCPU, and SIGKILL at last, if he does so for long. */
START_TEST(not_where_the_kernel_ends_who_does)
{
	struct rlimit was, limit;
	int n = -1;

	ck_assert_int_eq(getrlimit(RLIMIT_RTTIME, &was), 0);
	limit = (struct rlimit){1000000, was.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_RTTIME, &limit), 0);
	run(allow, &n);
	ck_assert_int_eq(setrlimit(RLIMIT_RTTIME, &was), 0);
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(what_somebody_else_has_set_stays)
{
	run(be_scheduled, NULL);
}
END_TEST

Suite *rush_suite(void)
{
	const TTest *const tests[] = {it_lasts_as_long_as_much_is_waiting_and_a_little_longer,
	                              who_may_not_does_not,
	                              what_never_ends_leaves_most_of_the_time_to_others,
	                              it_is_paid_for_whatever_the_pattern,
	                              rest_brings_it_back_in_full_and_not_more,
	                              kernels_that_it_suits,
	                              as_many_threads_may_as_there_are_processors,
	                              not_on_one_processor_nor_if_it_is_scheduled_otherwise,
	                              not_where_the_kernel_ends_who_does,
	                              what_somebody_else_has_set_stays,
	                              NULL};

	return suite_of("rush", tests);
}
