/*
 * What lb.ini may have so many of: that many, and one more.
 */
#include "cfg_file.h"
#include "suites.h"

enum { FILE_BYTES_MAX = 1 << 20, LINE_BYTES_MAX = 1000 };

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(no_more_farms_and_servers_than_there_is_room_for)
{
	size_t size = FILE_BYTES_MAX, used = 0;
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i <= RULES_FARMS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, "[farm f%u]\n", i);
	expect_first_error(text, "lb.ini:1025: more than 1024 [farm NAME] sections\n");
	used = 0;
	for (unsigned i = 0; i <= RULES_SERVERS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used, "[server s%u]\n", i);
	expect_first_error(text, "lb.ini:4097: more than 4096 [server NAME] sections\n");
	free(text);
}
END_TEST

START_TEST(a_full_file_is_taken)
{
	size_t size = FILE_BYTES_MAX, used = 0;
	char *text = malloc(size);
	struct rules *rules;

	ck_assert_ptr_nonnull(text);
	for (unsigned i = 0; i < RULES_FARMS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used,
		                         "[farm f%u]\nvip=10.0.%u.%u\nports=%u\n", i, i >> 8,
		                         i & 255, i + 1);
	for (unsigned i = 0; i < RULES_SERVERS_MAX; i++)
		used += (size_t)snprintf(text + used, size - used,
		                         "[server s%u]\nfarm=f%u\naddress=10.1.%u.%u\n", i,
		                         i % RULES_FARMS_MAX, i >> 8, i & 255);
	rules = expect_rules(text);
	ck_assert_uint_eq(rules->nfarms, RULES_FARMS_MAX);
	ck_assert_uint_eq(rules->nservers, RULES_SERVERS_MAX);
	for (unsigned i = 0; i < rules->nservers; i++)
		ck_assert_uint_eq(rules->servers[i].farm, i / 4);
	rules_free(rules);
	free(text);
}
END_TEST

START_TEST(there_are_at_most_64_filters)
{
	char text[(RULES_FILTERS_MAX + 2) * 64] = FARM_X SERVER_A, error[TEXT_BYTES];
	size_t used = strlen(text), last = 0;
	struct rules *rules;
	unsigned lines = 1;

	for (unsigned i = 0; i <= RULES_FILTERS_MAX; i++) {
		last = used;
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		                         "[filter f%u]\nmatch = tcp\naction = count\n", i);
	}
	for (size_t i = 0; i < last; i++)
		lines += text[i] == '\n';
	snprintf(error, sizeof(error), "lb.ini:%u: more than %u [filter NAME] sections", lines,
	         RULES_FILTERS_MAX);
	expect_error(text, error);
	text[last] = '\0';
	rules = expect_rules(text);
	ck_assert_uint_eq(rules->nfilters, RULES_FILTERS_MAX);
	ck_assert_str_eq(rules->filters[RULES_FILTERS_MAX - 1].name, "f63");
	rules_free(rules);
}
END_TEST

/* Each farm brings 257 addresses: 63 of them, and the 64th's VIP, leave 192 of 256. */
START_TEST(ipv6_addresses_are_bounded)
{
	enum { FARMS = 64, FARM_TEXT_BYTES = 128 };
	char *text = calloc(FARMS, FARM_TEXT_BYTES), error[TEXT_BYTES];
	size_t used = 0;

	for (unsigned f = 0; f < FARMS; f++)
		used += (size_t)snprintf(text + used, FARM_TEXT_BYTES,
		                         "[farm f%u]\nvip = fd00:0:%x::40\nports = 80\n"
		                         "snat = fd01:0:%x::-fd01:0:%x::ff\n",
		                         f, f, f, f);
	snprintf(error, sizeof(error),
	         "lb.ini:%u: [farm f%u] snat: fd01:0:%x::-fd01:0:%x::ff is one IPv6 address too "
	         "many: at most %u",
	         FARMS * 4, FARMS - 1, FARMS - 1, FARMS - 1, RULES_NAMES_MAX);
	expect_error(text, error);
	free(text);
}
END_TEST

START_TEST(a_file_has_at_most_a_mebibyte)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	size_t len = strlen(FARM_X SERVER_A);
	struct outcome outcome;

	ck_assert_ptr_nonnull(text);
	memset(text, '\n', FILE_BYTES_MAX + 1);
	memcpy(text, FARM_X SERVER_A, len);
	write_bytes(text, FILE_BYTES_MAX);
	outcome = load_path(cfg_path);
	ck_assert_int_eq(outcome.ret, 0);
	rules_free(outcome.rules);
	write_bytes(text, FILE_BYTES_MAX + 1);
	expect_failure(cfg_path, -EINVAL,
	               "lb.ini: 1048577 bytes: a configuration file has at most 1048576");
	free(text);
}
END_TEST

/* A line of len bytes: FARM_X's connlog, quoted. */
static void write_long_line(size_t len)
{
	char text[TEXT_BYTES] = FARM_X "connlog = '";
	size_t begin = strlen(FARM_X), used = strlen(text);

	memset(text + used, 'x', begin + len - used - 1);
	strcpy(text + begin + len - 1, "'\n");
	write_bytes(text, strlen(text));
}

START_TEST(a_line_has_at_most_1000_bytes)
{
	struct outcome outcome;

	write_long_line(LINE_BYTES_MAX);
	outcome = load_path(cfg_path);
	ck_assert_int_eq(outcome.ret, 0);
	ck_assert_uint_eq(strlen(outcome.rules->farms[0].connlog),
	                  LINE_BYTES_MAX - strlen("connlog = ''"));
	rules_free(outcome.rules);
	write_long_line(LINE_BYTES_MAX + 1);
	expect_failure(cfg_path, -EINVAL, "lb.ini:4: 1001 bytes: a line has at most 1000");
}
END_TEST

/* Sections that no farm uses are right as well. */
START_TEST(no_more_checks_and_filters_than_there_is_room_for)
{
	static const struct {
		const char *kind, *line, *error;
		unsigned most;
	} kinds[] = {
	        {"check", "expect = A", "lb.ini:519: more than 256 [check NAME] sections",
	         RULES_NAMED_SCRIPTS_MAX},
	        {"filter", "action = pass\nmatch = tcp",
	         "lb.ini:199: more than 64 [filter NAME] sections", RULES_FILTERS_MAX},
	};
	char *text = malloc(FILE_BYTES_MAX);

	for (unsigned k = 0; k < 2; k++) {
		size_t used = (size_t)sprintf(text, FARM_X SERVER_A);

		for (unsigned i = 0; i < kinds[k].most; i++)
			used += (size_t)sprintf(text + used, "[%s n%u]\n%s\n", kinds[k].kind, i,
			                        kinds[k].line);
		rules_free(expect_rules(text));
		sprintf(text + used, "[%s more]\n%s\n", kinds[k].kind, kinds[k].line);
		expect_first_error(text, kinds[k].error);
	}
	free(text);
}
END_TEST

/* [check c] with a value of so many bytes. */
static char *check_of(const char *key, unsigned bytes)
{
	char *text = calloc(1, TEXT_BYTES), *to = text;

	to += sprintf(to, FARM_X "check = 80 c\n" SERVER_A "[check c]\n%s = ", key);
	memset(to, 'A', bytes);
	to += bytes;
	sprintf(to, "\n%s", strcmp(key, "send") ? "" : "expect = A\n");
	return text;
}

static void expect_too_long(const char *key, unsigned bytes, const char *error)
{
	char *text = check_of(key, bytes);
	struct outcome outcome = load(text);

	ck_assert_msg(strstr(outcome.error, error), "%s", outcome.error);
	free(text);
}

START_TEST(a_check_says_and_expects_so_much)
{
	char *text = check_of("send", SCRIPT_SEND_MAX);
	struct rules *rules = expect_rules(text);

	ck_assert_uint_eq(rules->scripts[0].nsend, SCRIPT_SEND_MAX);
	rules_free(rules);
	free(text);
	text = check_of("expect", SCRIPT_EXPECT_MAX);
	rules = expect_rules(text);
	ck_assert_uint_eq(rules->scripts[0].nexpect, SCRIPT_EXPECT_MAX);
	rules_free(rules);
	free(text);
	expect_too_long("send", SCRIPT_SEND_MAX + 1, "is more than 512 bytes");
	expect_too_long("expect", SCRIPT_EXPECT_MAX + 1, "is more than 128 bytes");
}
END_TEST

static enum prefix_word word_of(const struct rules *rules, uint32_t ip)
{
	const struct ip6 mapped = ip6_mapped(be32_from(ip));

	return prefixes_find(&rules->farms[0].access, &mapped);
}

START_TEST(a_list_has_so_many_prefixes)
{
	enum { FIRST = 11 << 24 };
	static const char text[] = FARM_X "deny = @list\n" SERVER_A;
	char list[CFG_PATH_BYTES + 8];
	struct outcome outcome;
	struct rules *rules;
	FILE *file;

	snprintf(list, sizeof(list), "%.*slist", (int)(strlen(cfg_path) - strlen("lb.ini")),
	         cfg_path);
	file = fopen(list, "w");
	for (unsigned i = 0; i < RULES_PREFIXES_MAX; i++)
		fprintf(file, "11.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	fflush(file);
	rules = expect_rules(text);
	ck_assert_int_eq(word_of(rules, FIRST + RULES_PREFIXES_MAX - 1), PREFIX_DENY);
	ck_assert_int_eq(word_of(rules, FIRST + RULES_PREFIXES_MAX), PREFIX_NONE);
	rules_free(rules);
	fprintf(file, "12.0.0.0/8\n");
	fclose(file);
	expect_first_error(text, "lb.ini:4: [farm x] deny: ");
	outcome = load(text);
	ck_assert_msg(strstr(outcome.error, "/list:100001: 12") &&
	                      strstr(outcome.error, "is one prefix too many: at most 100000"),
	              "%s", outcome.error);
	unlink(list);
}
END_TEST

Suite *cfg_bounds_suite(void)
{
	Suite *suite = suite_create("cfg_bounds");
	TCase *tcase = tcase_create("cfg_bounds");

	tcase_add_checked_fixture(tcase, cfg_file_setup, cfg_file_teardown);
	tcase_add_test(tcase, no_more_farms_and_servers_than_there_is_room_for);
	tcase_add_test(tcase, a_full_file_is_taken);
	tcase_add_test(tcase, no_more_checks_and_filters_than_there_is_room_for);
	tcase_add_test(tcase, a_check_says_and_expects_so_much);
	tcase_add_test(tcase, a_list_has_so_many_prefixes);
	tcase_add_test(tcase, ipv6_addresses_are_bounded);
	tcase_add_test(tcase, there_are_at_most_64_filters);
	tcase_add_test(tcase, a_file_has_at_most_a_mebibyte);
	tcase_add_test(tcase, a_line_has_at_most_1000_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
