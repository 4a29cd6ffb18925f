/*
 * What operators type: durations and sizes, as lb.ini has them and as tables show them.
 */
#include "suites.h"

#include "../../bridge/operator/filter.h"
#include "../../lb/rules.h"

#include <stdio.h>

START_TEST(a_duration_is_as_in_lb_ini_or_as_tables_show_it)
{
	static const struct {
		const char *text;
		unsigned ms;
	} right[] = {
	        {"0", 0},
	        {"90", 90000},
	        {"500ms", 500},
	        {"90s", 90000},
	        {"30m", 1800000},
	        {"2h", 7200000},
	        {"1d", 86400000},
	        {"1h30m", 5400000},
	        {"4000000000ms", 4000000000},
	        {"2m5s", 125000},
	        {"1d2h3m4s5ms", 93784005},
	        {"4000000", 4000000000},
	        {"46d7h6m40s", 4000000000},
	};
	static const char *const wrong[] = {"",
	                                    "m",
	                                    "-1",
	                                    "+1",
	                                    "1x",
	                                    "1mm",
	                                    "1sm",
	                                    "30m1h",
	                                    "1h1h",
	                                    "1h30",
	                                    " 1",
	                                    "1.5h",
	                                    "4000001",
	                                    "4000001s",
	                                    "46d7h6m41s",
	                                    "47d",
	                                    "99999999999999999999",
	                                    "99999999999999999999d"};
	unsigned ms;

	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		ck_assert_msg(request_duration(right[i].text, &ms), "%s", right[i].text);
		ck_assert_uint_eq(ms, right[i].ms);
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!request_duration(wrong[i], &ms), "%s", wrong[i]);
}
END_TEST

static bool parse_bytes(const char *size, uint64_t *ret)
{
	static const struct rules rules;
	struct filter filter;
	struct filter_why why;
	struct request request;
	char line[64];
	bool is;

	snprintf(line, sizeof(line), "bytes over %s", size);
	ck_assert(request_split(line, &request));
	is = filter_parse(&request, &rules, &filter, &why);
	*ret = filter.terms[0].number;
	return is;
}

START_TEST(a_size_is_any_number_or_one_as_tables_show_it)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} right[] = {
	        {"0", 0},
	        {"1500", 1500},
	        {"5000000000", 5000000000},
	        {"18446744073709551615", UINT64_MAX},
	        {"10k", 10000},
	        {"2M", 2000000},
	        {"3G", 3000000000},
	        {"4T", 4000000000000},
	        {"18446744T", 18446744000000000000u},
	};
	static const char *const wrong[] = {"k",   "-1",   "+1",        "1K",
	                                    "1kk", "1.5M", "18446745T", "18446744073709551616"};
	uint64_t bytes;

	for (unsigned i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		ck_assert_msg(parse_bytes(right[i].text, &bytes), "%s", right[i].text);
		ck_assert_uint_eq(bytes, right[i].bytes);
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!parse_bytes(wrong[i], &bytes), "%s", wrong[i]);
}
END_TEST

Suite *request_suite(void)
{
	const TTest *const tests[] = {a_duration_is_as_in_lb_ini_or_as_tables_show_it,
	                              a_size_is_any_number_or_one_as_tables_show_it, NULL};

	return suite_of("request", tests);
}
