/*
 * Giving way to others, and returning.
 */
#include "suites.h"

#include "../../bridge/process/priority.h"

#include <pthread.h>
#include <sys/resource.h>

static int nice_value(void)
{
	return getpriority(PRIO_PROCESS, 0);
}

static void *look(void *arg)
{
	*(int *)arg = nice_value();
	return NULL;
}

/* Who is allowed to return has his own nice value again, and whoever isn't knows it then. In a
 * thread of its own, which takes what it has got into its grave. */
static void *go_and_return(void *arg)
{
	struct priority priority = {.own = nice_value(), .may_return = true};

	(void)arg;
	for (unsigned i = 0; i < 3 && priority.may_return; i++) {
		priority_lower(&priority);
		ck_assert_int_eq(nice_value(), 19);
		priority_return(&priority);
		ck_assert_int_eq(nice_value(), priority.may_return ? priority.own : 19);
	}
	return NULL;
}

START_TEST(a_thread_gives_way_and_returns)
{
	struct priority priority;
	const int was = nice_value();
	pthread_t thread;

	priority_open(&priority);
	ck_assert_int_eq(priority.own, was);
	ck_assert_int_eq(pthread_create(&thread, NULL, go_and_return, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(nice_value(), was);
}
END_TEST

START_TEST(who_could_not_return_does_not_go)
{
	struct priority priority = {.own = nice_value(), .may_return = false};

	priority_lower(&priority);
	ck_assert_int_eq(nice_value(), priority.own);
	priority_return(&priority);
	ck_assert_int_eq(nice_value(), priority.own);
}
END_TEST

static void *lower(void *arg)
{
	priority_lower(arg);
	return NULL;
}

/* As by renice, before it gives way and while it does; here the only way is down. */
static void *be_reniced(void *arg)
{
	struct priority priority = {.own = nice_value(), .may_return = true};
	const int given = priority.own + 1;

	(void)arg;
	if (given >= PRIORITY_LOWEST)
		return NULL;
	ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, given), 0);
	priority_lower(&priority);
	ck_assert_int_eq(nice_value(), given);
	priority_return(&priority);
	ck_assert_int_eq(nice_value(), given);
	priority.own = given;
	priority_lower(&priority);
	ck_assert_int_eq(nice_value(), PRIORITY_LOWEST);
	priority_return(&priority); /* in vain, unless it is allowed to */
	ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, PRIORITY_LOWEST), 0);
	priority.own = given;
	priority.may_return = true;
	priority_lower(&priority);
	priority_return(&priority);
	ck_assert_int_eq(nice_value(), PRIORITY_LOWEST);
	return NULL;
}

START_TEST(what_somebody_else_has_set_stays)
{
	const int was = nice_value();
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, be_reniced, NULL), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(nice_value(), was);
}
END_TEST

START_TEST(it_is_the_threads_alone)
{
	struct priority priority = {.own = nice_value(), .may_return = true};
	const int was = priority.own;
	pthread_t thread;
	int seen = -1;

	ck_assert_int_eq(pthread_create(&thread, NULL, lower, &priority), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(nice_value(), was);
	ck_assert_int_eq(pthread_create(&thread, NULL, look, &seen), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(seen, was);
}
END_TEST

Suite *priority_suite(void)
{
	const TTest *const tests[] = {
	        a_thread_gives_way_and_returns, who_could_not_return_does_not_go,
	        what_somebody_else_has_set_stays, it_is_the_threads_alone, NULL};

	return suite_of("priority", tests);
}
