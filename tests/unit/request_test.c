/*
 * What operators type: sizes, as tables show them.
 */
#include "suites.h"

#include "../../bridge/operator/filter.h"
#include "../../lb/rules.h"

#include <stdio.h>

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
	const TTest *const tests[] = {a_size_is_any_number_or_one_as_tables_show_it, NULL};

	return suite_of("request", tests);
}
