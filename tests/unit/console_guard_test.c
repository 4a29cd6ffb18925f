/*
 * Who may ask the console: by which name, from which page, with which token.
 */
#include "suites.h"

#include "../../bridge/console/address.h"
#include "../../bridge/console/guard.h"

#include <stdio.h>
#include <string.h>

#define TOKEN "0123456789abcdef0123"

static const struct options here = {.address = "127.0.0.1", .port = 8642};
static const struct options elsewhere = {.address = "2001:db8::5",
                                         .port = 443,
                                         .hosts = {"lb.example", "10.0.0.5"},
                                         .nhosts = 2,
                                         .token = TOKEN};

START_TEST(what_is_loopback)
{
	static const char *const are[] = {"127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1"};
	static const char *const are_not[] = {"0.0.0.0",   "128.0.0.1",  "10.0.0.1",
	                                      "::",        "::2",        "::ffff:127.0.0.1",
	                                      "fe80::1",   "localhost",  "127.evil.example",
	                                      "127.0.1",   "127.0.0.1.", "",
	                                      "2130706433"};

	for (unsigned i = 0; i < sizeof(are) / sizeof(are[0]); i++)
		ck_assert_msg(address_is_loopback(are[i]), "%s", are[i]);
	for (unsigned i = 0; i < sizeof(are_not) / sizeof(are_not[0]); i++)
		ck_assert_msg(!address_is_loopback(are_not[i]), "%s", are_not[i]);
}
END_TEST

START_TEST(names_of_a_console_on_loopback)
{
	static const char *const ours[] = {"127.0.0.1:8642", "127.0.0.1",  "localhost:8642",
	                                   "LocalHost",      "[::1]:8642", "[::1]",
	                                   "127.9.9.9:8642"};
	static const char *const others[] = {"",
	                                     ":",
	                                     ":8642",
	                                     "[",
	                                     "]",
	                                     "[]",
	                                     "[]:8642",
	                                     "[:8642",
	                                     "]:8642",
	                                     "127.0.0.1:",
	                                     "127.0.0.1:80",
	                                     "127.0.0.1:08642",
	                                     "127.0.0.1:8642 ",
	                                     "127.0.0.1:8642:8642",
	                                     "127.0.0.1 :8642",
	                                     "127.0.0.1.evil.example:8642",
	                                     "127.evil.example:8642",
	                                     "localhost.evil.example",
	                                     "evil.example",
	                                     "localhost@evil.example",
	                                     "10.0.0.5:8642",
	                                     "[::2]:8642",
	                                     "[::1]x:8642",
	                                     "[::1",
	                                     "x[::1]",
	                                     "0.0.0.0:8642",
	                                     "[::]:8642",
	                                     "[::ffff:127.0.0.1]:8642"};

	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		ck_assert_msg(guard_knows_host(&here, ours[i]), "%s", ours[i]);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!guard_knows_host(&here, others[i]), "%s", others[i]);
	ck_assert(!guard_knows_host(&here, NULL));
}
END_TEST

/* A browser writes an address in its own way. */
START_TEST(names_of_a_console_elsewhere)
{
	static const char *const ours[] = {"[2001:db8::5]:443",      "[2001:db8::5]",
	                                   "[2001:DB8:0:0:0:0:0:5]", "lb.example",
	                                   "LB.EXAMPLE:443",         "10.0.0.5"};
	static const char *const others[] = {"localhost",      "127.0.0.1",   "[::1]",
	                                     "[2001:db8::6]",  "xlb.example", "lb.example.",
	                                     "lb.example:8642"};

	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		ck_assert_msg(guard_knows_host(&elsewhere, ours[i]), "%s", ours[i]);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!guard_knows_host(&elsewhere, others[i]), "%s", others[i]);
}
END_TEST

/* Of lengths about the buffer's: what is cut is no name. */
START_TEST(a_name_of_any_length)
{
	char name[600], known[257];
	struct options options = here;

	memset(known, 'a', sizeof(known));
	known[255] = '\0';
	options.hosts[options.nhosts++] = known;
	for (unsigned len = 1; len < sizeof(name); len++) {
		memset(name, 'a', len);
		name[len] = '\0';
		ck_assert_int_eq(guard_knows_host(&options, name), len == 255);
	}
}
END_TEST

START_TEST(a_page_of_another_port_is_another_page)
{
	struct guard_request request = {.host = "localhost:8642"};
	const char *why;

	ck_assert_uint_eq(guard_any(&here, &request, &why), 0);
	request.origin = "http://localhost:8642";
	ck_assert_uint_eq(guard_any(&here, &request, &why), 0);
	for (const char *const *origin =
	             (const char *const[]){"http://localhost", "http://localhost:80", "null", "",
	                                   "http://127.0.0.1:8642", "localhost:8642",
	                                   "http://evil.example#://localhost:8642", NULL};
	     *origin; origin++) {
		request.origin = *origin;
		ck_assert_msg(guard_any(&here, &request, &why) == 403, "%s", *origin);
	}
	request.host = "evil.example:8642";
	request.origin = "http://evil.example:8642";
	ck_assert_uint_eq(guard_any(&here, &request, &why), 421);
}
END_TEST

START_TEST(the_token_and_nothing_else)
{
	char text[300];

	ck_assert(guard_knows_token(&elsewhere, "Bearer " TOKEN));
	ck_assert(guard_knows_token(&elsewhere, "bearer " TOKEN));
	for (const char *const *wrong =
	             (const char *const[]){
	                     "", "Bearer", "Bearer ", "Basic " TOKEN, TOKEN, "Bearer  " TOKEN,
	                     "Bearer " TOKEN " ", "Bearer " TOKEN TOKEN,
	                     "Bearer 0123456789abcdef012", "Bearer 0123456789abcdef0124",
	                     "Bearer 1123456789abcdef0123", "Bearer 0123456789ABCDEF0123", NULL};
	     *wrong; wrong++)
		ck_assert_msg(!guard_knows_token(&elsewhere, *wrong), "%s", *wrong);
	ck_assert(!guard_knows_token(&elsewhere, NULL));
	ck_assert(!guard_knows_token(&here, "Bearer ")); /* which has none */
	for (unsigned len = 0; len < sizeof(text) - 8; len++) {
		memset(text, '0', sizeof(text));
		memcpy(text, "Bearer ", 7);
		text[7 + len] = '\0';
		ck_assert(!guard_knows_token(&elsewhere, text));
	}
}
END_TEST

/* What a change takes, in the order in which it is asked for. */
START_TEST(a_change_takes_all_of_it)
{
	struct options options = elsewhere;
	struct guard_request request = {.host = "lb.example"};
	const char *why;

	ck_assert_uint_eq(guard_change(&options, &request, &why), 403);
	options.admin = true;
	ck_assert_uint_eq(guard_change(&options, &request, &why), 401);
	request.authorization = "Bearer " TOKEN;
	ck_assert_uint_eq(guard_change(&options, &request, &why), 415);
	for (const char *const *type =
	             (const char *const[]){"text/plain", "application/jsonp", "application/jso",
	                                   "text/plain; application/json", "application/json,x", "",
	                                   "multipart/form-data", NULL};
	     *type; type++) {
		request.type = *type;
		ck_assert_msg(guard_change(&options, &request, &why) == 415, "%s", *type);
	}
	for (const char *const *type =
	             (const char *const[]){"application/json", "Application/JSON",
	                                   "application/json; charset=utf-8", NULL};
	     *type; type++) {
		request.type = *type;
		ck_assert_uint_eq(guard_change(&options, &request, &why), 0);
	}
}
END_TEST

Suite *console_guard_suite(void)
{
	const TTest *const tests[] = {
	        what_is_loopback,
	        names_of_a_console_on_loopback,
	        names_of_a_console_elsewhere,
	        a_name_of_any_length,
	        a_page_of_another_port_is_another_page,
	        the_token_and_nothing_else,
	        a_change_takes_all_of_it,
	        NULL,
	};

	return suite_of("console_guard", tests);
}
