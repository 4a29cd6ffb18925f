/*
 * What the console remembers, in bounded memory.
 */
#include "suites.h"

#include "../../bridge/console/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is printed of those names, for the caller to free. */
static char *printed(const struct history *history, enum history_range range, const char *names)
{
	struct history *picked = history_pick(history, names);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	ck_assert(picked && out);
	history_print(picked, out, range, 1000);
	fclose(out);
	history_free(picked);
	return text;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static unsigned count_printed(const struct history *history, const char *names, const char *what)
{
	char *text = printed(history, HISTORY_BY_SECOND, names);
	const unsigned n = count(text, what);

	free(text);
	return n;
}

START_TEST(seconds_and_minutes)
{
	struct history *history = history_new();
	char *text;

	for (int second = 600; second < 660; second++) {
		history_begin(history, second);
		history_note(history, "a", second % 2 ? 3 : 1);
	}
	text = printed(history, HISTORY_BY_SECOND, "a");
	ck_assert(strstr(text, "{\"step\":1,\"end\":1659,\"series\":{\"a\":[null,"));
	ck_assert(strstr(text, ",1,3,1,3]}}"));
	ck_assert_uint_eq(count(text, ","), HISTORY_HOUR + 1);
	free(text);
	text = printed(history, HISTORY_BY_MINUTE, "a");
	ck_assert(strstr(text, "{\"step\":60,"));
	ck_assert(strstr(text, ",null,2]}}"));
	free(text);
	history_free(history);
}
END_TEST

/* Seconds without figures have none, however many: nothing of before stands in their place. */
START_TEST(a_gap_of_any_length)
{
	static const int gaps[] = {1,    2,    59,   60,    61,     3599,   3600,
	                           3601, 7200, 9999, 86400, 604800, 700000, 1 << 30};

	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		struct history *history = history_new();
		char *text;

		history_begin(history, 1000);
		history_note(history, "a", 5);
		history_begin(history, 1000 + gaps[i]);
		history_note(history, "a", 7);
		text = printed(history, HISTORY_BY_SECOND, "a");
		ck_assert_uint_eq(count(text, ",5") + count(text, "[5"), gaps[i] < HISTORY_HOUR);
		ck_assert_uint_eq(count(text, "7]"), 1);
		ck_assert_uint_eq(count(text, "null"), HISTORY_HOUR - 1 - (gaps[i] < HISTORY_HOUR));
		free(text);
		history_free(history);
	}
}
END_TEST

START_TEST(what_is_asked_for_once_and_not_without_end)
{
	struct history *history = history_new();
	char names[16 * 2 * HISTORY_PICKED_MAX] = "", name[16];

	history_begin(history, 1);
	for (int i = 0; i < 2 * HISTORY_PICKED_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		history_note(history, name, i);
		sprintf(names + strlen(names), "%s,", name);
	}
	ck_assert_uint_eq(count_printed(history, names, "\":["), HISTORY_PICKED_MAX);
	ck_assert_uint_eq(count_printed(history, "s1,s2,s1,nobody,,s", "\":["), 2);
	ck_assert_uint_eq(count_printed(history, "", "\":["), 0);
	ck_assert_uint_eq(count_printed(history, ",,,,", "\":["), 0);
	ck_assert_uint_eq(count_printed(history, "s11", "\"s1\""), 0);
	history_free(history);
}
END_TEST

/* Names that come and go leave room for those that are there. */
START_TEST(a_series_without_values_makes_room)
{
	struct history *history = history_new();
	char name[16];

	history_begin(history, 1);
	for (int i = 0; i < HISTORY_SERIES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		history_note(history, name, 1);
	}
	history_note(history, "new", 1);
	ck_assert_uint_eq(count_printed(history, "new", "new"), 0); /* all others are in use */
	for (int second = 2; second <= HISTORY_HOUR + 2; second++) {
		history_begin(history, second);
		for (int i = 1; i < HISTORY_SERIES_MAX; i += second % 1000 ? 400 : 1) {
			snprintf(name, sizeof(name), "s%d", i);
			history_note(history, name, 1);
		}
	}
	history_note(history, "new", 4);
	ck_assert_uint_eq(count_printed(history, "new", "null,4]"), 1);
	ck_assert_uint_eq(count_printed(history, "new", "null"), HISTORY_HOUR - 1);
	ck_assert_uint_eq(count_printed(history, "s0,s1", "\":["), 1);
	history_free(history);
}
END_TEST

/* A name is printed as it is. */
START_TEST(a_name_that_is_none)
{
	struct history *history = history_new();
	char name[HISTORY_NAME_BYTES + 1];

	history_begin(history, 1);
	history_note(history, "a\"b", 1);
	history_note(history, "a\\b", 1);
	history_note(history, "a\nb", 1);
	history_note(history,
	             "a\xff"
	             "b",
	             1);
	memset(name, 'x', sizeof(name));
	name[HISTORY_NAME_BYTES] = '\0';
	history_note(history, name, 1);
	ck_assert_uint_eq(count_printed(history,
	                                "a\"b,a\\b,a\nb,a\xff"
	                                "b",
	                                "["),
	                  0);
	ck_assert_uint_eq(count_printed(history, name, "["), 0);
	history_note(history, name + 1, 1);
	ck_assert_uint_eq(count_printed(history, name + 1, "["), 1);
	history_note(history, "nan", (double)NAN);
	ck_assert_uint_eq(count_printed(history, "nan", "null"), HISTORY_HOUR);
	history_free(history);
}
END_TEST

Suite *console_history_suite(void)
{
	const TTest *const tests[] = {
	        seconds_and_minutes,
	        a_gap_of_any_length,
	        what_is_asked_for_once_and_not_without_end,
	        a_series_without_values_makes_room,
	        a_name_that_is_none,
	        NULL,
	};

	return suite_of("console_history", tests);
}
