/*
 * The fast path's programs, loaded once for all tests that want maps of the same size.
 */
#ifndef UNIT_KEPT_PROGRAMS_H
#define UNIT_KEPT_PROGRAMS_H

#include <check.h>
#include <stdbool.h>

/* As suite_of(), but the tests find programs loaded, also in the process that Check makes for each:
 * for a cable and the rules of fixture_rules(2), and, if all, also for those in IPv6, and where the
 * host has a part. Where this process can't load programs, there are none. */
Suite *suite_of_programs(const char *name, const TTest *const *tests, bool all);

#endif
