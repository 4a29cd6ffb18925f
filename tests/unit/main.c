/*
 * Runs all unit tests. CK_FORK, CK_RUN_SUITE and CK_VERBOSITY are Check's; SEED repeats a run.
 * SUITES=K/N runs the K-th of N parts, each with every N-th suite.
 */
#include "random.h"
#include "suites.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define SUITE_OF(name) name##_suite,

/*
 * Instead of Check's, which tells the process that started the test, by a file, of each assertion
 * that holds: a test may make a million of them. Of one that crashes it is only said which it was.
 */
void __wrap__mark_point(const char *file, int line);

void __wrap__mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

Suite *suite_of(const char *name, const TTest *const *tests)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);

	for (; *tests; tests++)
		tcase_add_test(tcase, *tests);
	suite_add_tcase(suite, tcase);
	return suite;
}

/* By the clock, of each test: beside live tests, which go first, one that takes a second of a
 * processor has taken a minute. It is set before there is a suite. */
static void set_timeout(void)
{
	setenv("CK_DEFAULT_TIMEOUT", "300", 0);
}

/* Adds the suites of the part that SUITES in the environment says, or all. False if that is no
 * part. */
static bool add_suites(SRunner *runner)
{
	Suite *(*const suites[])(void) = {SUITES(SUITE_OF)};
	const char *text = getenv("SUITES");
	unsigned part = 1, parts = 1;

	if (text && (sscanf(text, "%u/%u", &part, &parts) != 2 || part < 1 || part > parts))
		return false;
	for (size_t i = part - 1; i < sizeof(suites) / sizeof(suites[0]); i += parts)
		srunner_add_suite(runner, suites[i]());
	return true;
}

int main(void)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

	set_timeout();
	random_choose_seed(getenv("SEED"));
	printf("SEED=%llu\n", (unsigned long long)random_seed());
	if (!add_suites(runner)) {
		fprintf(stderr, "SUITES is K/N, K from 1 to N\n");
		return EXIT_FAILURE;
	}
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
