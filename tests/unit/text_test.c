/*
 * Names in JSON.
 */
#include "suites.h"

#include "../../bridge/process/text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

START_TEST(json_strings_are_escaped)
{
	static const char *const pairs[][2] = {
	        {"eth0", "eth0"},
	        {"", ""},
	        {"a\"b\\c", "a\\\"b\\\\c"},
	        {"\x01\t\x7f \xff~", "\\u0001\\u0009\\u007f \\u00ff~"},
	        {"b\xc3\xbcro \xe2\x82\xac \xf0\x9f\x98\x80", "b\\u00fcro \\u20ac \\ud83d\\ude00"},
	        {"\xed\xa0\x80\xc3", "\\u00ed\\u00a0\\u0080\\u00c3"},
	};
	char text[64];

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		ck_assert_str_eq(text_json(pairs[i][0], text, sizeof(text)), pairs[i][1]);
}
END_TEST

START_TEST(whole_numbers_are_put_as_printf_does)
{
	static const uint64_t numbers[] = {0, 1, 9, 10, 99, 100, UINT32_MAX, UINT64_MAX};
	char is[21], wanted[21];

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sprintf(wanted, "%" PRIu64, numbers[i]);
		ck_assert_ptr_eq(text_put_number(is, numbers[i]), is + strlen(wanted));
		ck_assert_str_eq(is, wanted);
	}
}
END_TEST

/* As printf() and inet_ntop() write them: the limits, and any. */
START_TEST(endpoints_are_written_as_others_do)
{
	static const uint8_t bytes[] = {0, 1, 9, 10, 99, 100, 199, 255};
	static const uint16_t ports[] = {0, 1, 9, 10, 80, 443, 999, 1000, 9999, 10000, 65535};
	char is[TEXT_ENDPOINT_BYTES], ip[TEXT_ADDRESS_BYTES], wanted[TEXT_ENDPOINT_BYTES + 10];
	static const struct ip6 longest = {{0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x9a,
	                                    0xbc, 0xde, 0xf0, 0x11, 0x22, 0x33, 0x44}};

	for (unsigned i = 0; i < sizeof(bytes); i++)
		for (unsigned j = 0; j < sizeof(ports) / sizeof(ports[0]); j++) {
			const be32 ip4 = {{bytes[i], bytes[7 - i], 0, bytes[i]}};

			inet_ntop(AF_INET, &ip4, ip, sizeof(ip));
			ck_assert_str_eq(text_ip(ip4, NULL, is), ip);
			sprintf(wanted, "%s:%u", ip, ports[j]);
			ck_assert_str_eq(text_endpoint(ip4, NULL, be16_from(ports[j]), is), wanted);
		}
	ck_assert_str_eq(text_endpoint((be32){{0}}, &longest, be16_from(65535), is),
	                 "[2001:db8:1234:5678:9abc:def0:1122:3344]:65535");
	ck_assert_str_eq(text_endpoint((be32){{0}}, &(struct ip6){{0}}, be16_from(0), is),
	                 "[::]:0");
}
END_TEST

/* What is no UTF-8, and what a terminal obeys, each of the limits and its neighbours. */
START_TEST(a_terminal_gets_nothing_to_obey)
{
	static const char *const pairs[][2] = {
	        {"eth0 \"~", "eth0 \"~"},
	        {"", ""},
	        {"\033[2J\r\n\t\x7f", "?[2J????"},
	        {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "??????\xc2\xa0"},
	        {"\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf",
	         "\xe2\x80\xa7??????\xe2\x80\xaf"},
	        {"b\xc3\xbcro \xe2\x82\xac \xf0\x9f\x98\x80",
	         "b\xc3\xbcro \xe2\x82\xac \xf0\x9f\x98\x80"},
	        {"\x9b"
	         "2J \x80 \xbf \xff \xc3",
	         "?2J ? ? ? ?"},                                           /* alone, or cut off */
	        {"\xc1\xbf \xe0\x9f\xbf \xf0\x8f\xbf\xbf", "?? ??? ????"}, /* longer than need be */
	        {"\xed\x9f\xbf \xed\xa0\x80 \xee\x80\x80", "\xed\x9f\xbf ??? \xee\x80\x80"},
	        {"\xf4\x8f\xbf\xbf \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80",
	         "\xf4\x8f\xbf\xbf ???? ?????"},
	        {"\xe2\x82"
	         "ab \xf0\x9f\x98",
	         "??ab ???"},
	};

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char text[64];

		strcpy(text, pairs[i][0]);
		text_printable(text);
		ck_assert_str_eq(text, pairs[i][1]);
	}
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

/* All of it is the number, or it is none. */
START_TEST(numbers_are_whole)
{
	static const char *const wrong[] = {"",
	                                    " 1",
	                                    "1 ",
	                                    "-1",
	                                    "+1",
	                                    "0x1",
	                                    "1k",
	                                    "abc",
	                                    "18446744073709551616",
	                                    "184467440737095516150"};
	unsigned long n = 7;

	ck_assert(text_number("0", 0, &n) && n == 0);
	ck_assert(text_number("65535", 65535, &n) && n == 65535);
	ck_assert(text_number("007", 9, &n) && n == 7);
	ck_assert(text_number("18446744073709551615", ULONG_MAX, &n) && n == ULONG_MAX);
	n = 7;
	ck_assert(!text_number("65536", 65535, &n));
	ck_assert(!text_number("1", 0, &n));
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!text_number(wrong[i], ULONG_MAX, &n), "%s", wrong[i]);
	ck_assert_uint_eq(n, 7);
}
END_TEST

Suite *text_suite(void)
{
	const TTest *const tests[] = {json_strings_are_escaped,
	                              endpoints_are_written_as_others_do,
	                              whole_numbers_are_put_as_printf_does,
	                              a_terminal_gets_nothing_to_obey,
	                              json_strings_are_cut_to_fit,
	                              numbers_are_whole,
	                              NULL};

	return suite_of("text", tests);
}
