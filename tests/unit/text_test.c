/*
 * Names in JSON.
 */
#include "suites.h"

#include "../../bridge/process/text.h"

#include <string.h>

START_TEST(json_strings_are_escaped)
{
	static const char *const pairs[][2] = {
	        {"eth0", "eth0"},
	        {"", ""},
	        {"a\"b\\c", "a\\\"b\\\\c"},
	        {"\x01\t\x7f \xff~", "\\u0001\\u0009\\u007f \\u00ff~"},
	};
	char text[64];

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		ck_assert_str_eq(text_json(pairs[i][0], text, sizeof(text)), pairs[i][1]);
}
END_TEST

/* Cut between characters, never within an escape. */
START_TEST(json_strings_are_cut_to_fit)
{
	char text[32];

	for (size_t size = 1; size < sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		text_json("\x01\x01\x01\x01\x01\x01", text, size);
		ck_assert_uint_lt(strlen(text), size);
		ck_assert_uint_eq(strlen(text) % 6, 0);
	}
}
END_TEST

Suite *text_suite(void)
{
	const TTest *const tests[] = {json_strings_are_escaped, json_strings_are_cut_to_fit, NULL};

	return suite_of("text", tests);
}
