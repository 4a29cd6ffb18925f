/*
 * Numbers and times that operators type: none, the least and the most, and one less or more of
 * each.
 */
#include "suites.h"

#include "../../bridge/process/quantity.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct range {
	const char *name;
	bool is_time;
	uint64_t least, most; /* times in ms */
} ranges[] = {
        [QUANTITY_LIMIT] = {"--limit", false, 0, UINT32_MAX},
        [QUANTITY_SORTED] = {"--sort with --limit", false, 0, 1000},
        [QUANTITY_SHOWN] = {"limit", false, 0, 1000},
        [QUANTITY_PACKETS] = {"-c", false, 1, UINT32_MAX},
        [QUANTITY_WEIGHT] = {"weight", false, 0, 100},
        [QUANTITY_SECONDS] = {"-t", true, 1, 4000000000},
        [QUANTITY_WATCH] = {"--watch", true, 1, 4000000000},
        [QUANTITY_WAIT] = {"--wait", true, 0, 4000000000},
        [QUANTITY_FOR] = {"--for", true, 1000, 4000000000},
        [QUANTITY_AGE] = {"age", true, 0, 4000000000},
        [QUANTITY_IDLE] = {"idle", true, 0, 4000000000},
};

static_assert(sizeof(ranges) / sizeof(ranges[0]) == NQUANTITIES, "each is tried");

/* Refused, with its name and what was typed in the reason, and nothing set. */
static void is_refused(enum quantity quantity, const char *text)
{
	char why[QUANTITY_WHY_BYTES] = "";
	uint64_t n = 7;

	ck_assert_msg(!quantity_parse(quantity, text, &n, why), "%s %s", ranges[quantity].name,
	              text);
	ck_assert_uint_eq(n, 7);
	ck_assert_msg(!strncmp(why, ranges[quantity].name, strlen(ranges[quantity].name)) &&
	                      strstr(why, *text ? text : "nothing"),
	              "%s", why);
}

static void is_taken(enum quantity quantity, const char *text, uint64_t wanted)
{
	char why[QUANTITY_WHY_BYTES] = "";
	uint64_t n = 7;

	ck_assert_msg(quantity_parse(quantity, text, &n, why), "%s %s: %s", ranges[quantity].name,
	              text, why);
	ck_assert_msg(n == wanted, "%s: %" PRIu64, text, n);
}

START_TEST(each_is_taken_from_its_least_to_its_most)
{
	for (unsigned q = 0; q < NQUANTITIES; q++) {
		const enum quantity quantity = (enum quantity)q;
		const char *unit = ranges[q].is_time ? "ms" : "";
		const uint64_t limits[] = {ranges[q].least, ranges[q].least + 1, ranges[q].most - 1,
		                           ranges[q].most};
		char text[40];

		for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
			sprintf(text, "%" PRIu64 "%s", limits[i], unit);
			is_taken(quantity, text, limits[i]);
		}
		sprintf(text, "%" PRIu64 "%s", ranges[q].most + 1, unit);
		is_refused(quantity, text);
		sprintf(text, "%" PRIu64 "%s", ranges[q].least - 1, unit);
		if (ranges[q].least)
			is_refused(quantity, text);
	}
}
END_TEST

START_TEST(none_is_what_is_no_number)
{
	static const char *const wrong[] = {"",
	                                    "-1",
	                                    "+1",
	                                    " 1",
	                                    "1 ",
	                                    "soon",
	                                    "0x10",
	                                    "1e3",
	                                    "inf",
	                                    "nan",
	                                    "1,5",
	                                    ".",
	                                    ".5",
	                                    "1.",
	                                    "1x",
	                                    "1..5",
	                                    "1.5.5",
	                                    "18446744073709551616",
	                                    "99999999999999999999",
	                                    "99999999999999999999d"};

	for (unsigned q = 0; q < NQUANTITIES; q++)
		for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			is_refused((enum quantity)q, wrong[i]);
	is_refused(QUANTITY_LIMIT, "5s");
	is_refused(QUANTITY_LIMIT, "1.5");
}
END_TEST

START_TEST(a_time_is_as_in_lb_ini_or_as_tables_show_it)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} right[] = {
	        {"1", 1000},      {"90", 90000},           {"1500ms", 1500},
	        {"90s", 90000},   {"30m", 1800000},        {"2h", 7200000},
	        {"1d", 86400000}, {"1h30m", 5400000},      {"4000000000ms", 4000000000},
	        {"2m5s", 125000}, {"1.5", 1500},           {"1d2h3m4s5ms", 93784005},
	        {"1.0015", 1001}, {"4000000", 4000000000}, {"46d7h6m40s", 4000000000},
	};
	static const char *const wrong[] = {"m",        "1mm",        "1sm",  "30m1h",
	                                    "1h1h",     "1h30",       "1.5h", "4000001",
	                                    "4000001s", "46d7h6m41s", "47d",  "4000000.001"};

	for (unsigned q = 0; q < NQUANTITIES; q++) {
		if (!ranges[q].is_time)
			continue;
		for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++)
			is_taken((enum quantity)q, right[i].text, right[i].ms);
		for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
			is_refused((enum quantity)q, wrong[i]);
	}
	is_taken(QUANTITY_WATCH, "0.5", 500);
}
END_TEST

/* What does nothing is more likely a slip than a wish: a verdict for no time, a capture of nothing,
 * looks without a pause. Rows, and the wait for a server, may be none. */
START_TEST(nothing_is_taken_where_it_means_something)
{
	static const char *const nothing[] = {"0s", "0ms", "0.0", "0.0001", "0h0m"};

	is_refused(QUANTITY_PACKETS, "0");
	for (unsigned i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		is_refused(QUANTITY_SECONDS, nothing[i]);
		is_refused(QUANTITY_WATCH, nothing[i]);
		is_refused(QUANTITY_FOR, nothing[i]);
		is_taken(QUANTITY_WAIT, nothing[i], 0);
		is_taken(QUANTITY_AGE, nothing[i], 0);
	}
	is_refused(QUANTITY_FOR, "999ms");
}
END_TEST

START_TEST(the_reason_says_what_would_be_right)
{
	char why[QUANTITY_WHY_BYTES], text[500];
	uint64_t n;

	ck_assert(!quantity_parse(QUANTITY_FOR, "0s", &n, why));
	ck_assert_str_eq(why,
	                 "--for: 0s is no time from 1s to 4000000s, such as 90s, 15m or 1h30m");
	ck_assert(!quantity_parse(QUANTITY_SECONDS, "", &n, why));
	ck_assert_str_eq(why,
	                 "-t: nothing is no time from 1ms to 4000000s, such as 90s, 15m or 1h30m");
	ck_assert(!quantity_parse(QUANTITY_WEIGHT, "101", &n, why));
	ck_assert_str_eq(why, "weight: 101 is no whole number from 0 to 100");
	memset(text, '9', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (unsigned q = 0; q < NQUANTITIES; q++) {
		ck_assert(!quantity_parse((enum quantity)q, text, &n, why));
		ck_assert(strlen(why) < QUANTITY_WHY_BYTES - 1);
	}
}
END_TEST

Suite *quantity_suite(void)
{
	const TTest *const tests[] = {each_is_taken_from_its_least_to_its_most,
	                              none_is_what_is_no_number,
	                              a_time_is_as_in_lb_ini_or_as_tables_show_it,
	                              nothing_is_taken_where_it_means_something,
	                              the_reason_says_what_would_be_right,
	                              NULL};

	return suite_of("quantity", tests);
}
