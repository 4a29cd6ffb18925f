/*
 * Messages to a reader who doesn't read.
 */
#include "suites.h"

#include "../../bridge/process/log.h"
#include "../../bridge/process/recent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void fill(int fd)
{
	static const char page[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, page, sizeof(page)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

static void drain(int fd)
{
	static char text[1 << 20];

	ck_assert_int_gt(read(fd, text, sizeof(text)), 0);
}

START_TEST(full_pipe_loses_lines)
{
	int ends[2], terminal = dup(STDERR_FILENO);
	char text[4096] = "";

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	fill(ends[1]);
	log_info("one");
	log_warning("two");
	log_error("three");
	drain(ends[0]);
	log_info("%02000d", 1); /* cut, with room for the number of lost lines */
	log_info("four");
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	close(ends[1]);
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 1000);
	ck_assert_ptr_nonnull(strstr(text, "00 (3 lines were lost)\ntmbridge: four\n"));
	close(ends[0]);
}
END_TEST

/* A full disk takes a part of a line: that is lost as well. */
START_TEST(a_line_that_is_cut_is_counted_lost)
{
	char text[4096] = "", name[] = "/tmp/log_test.XXXXXX";
	int file = mkstemp(name), terminal = dup(STDERR_FILENO);
	struct rlimit was, less;

	ck_assert_int_ge(file, 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
	less = (struct rlimit){.rlim_cur = 20, .rlim_max = was.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &less), 0);
	dup2(file, STDERR_FILENO);
	log_info("one");
	log_info("two, which is cut");
	log_info("three");
	setrlimit(RLIMIT_FSIZE, &was);
	log_info("four");
	dup2(terminal, STDERR_FILENO);
	close(terminal);
	ck_assert_int_gt(pread(file, text, sizeof(text) - 1, 0), 20);
	ck_assert_ptr_nonnull(strstr(text, "\ntmbridge: four (2 lines were lost)\n"));
	close(file);
	unlink(name);
}
END_TEST

START_TEST(lines_are_printable)
{
	struct recent recent;

	log_info("\033[2J %s\n", "\x9b"
	                         "2J b\xc3\xbcro");
	ck_assert(recent_get(recent_last(), &recent));
	ck_assert_str_eq(recent.text, "?[2J ?2J b\xc3\xbcro?");
}
END_TEST

static const char *kept_details(const struct details *details, struct recent *ret)
{
	recent_note(LOG_INFO, "said", details);
	ck_assert(recent_get(recent_last(), ret));
	return ret->details;
}

START_TEST(details_are_kept_as_members)
{
	struct details details = {.n = 0}, many = {.n = 0};
	struct recent recent;

	ck_assert_str_eq(kept_details(NULL, &recent), "");
	ck_assert_str_eq(kept_details(&details, &recent), "");
	details_number(&details, "count", UINT64_MAX);
	details_seconds(&details, "after_s", 4.04);
	details_flag(&details, "up", true);
	details_text(&details, "reason", "a \"b\\\n");
	details_mac(&details, "mac", (const uint8_t[]){2, 0, 0, 0, 0, 0x4f});
	ck_assert_str_eq(kept_details(&details, &recent),
	                 ",\"count\":18446744073709551615,\"after_s\":4.0,\"up\":true,"
	                 "\"reason\":\"a \\\"b\\\\\\u000a\",\"mac\":\"02:00:00:00:00:4f\"");
	for (unsigned i = 0; i < DETAILS_MAX + 1; i++)
		details_number(&many, "n", i);
	ck_assert_uint_eq(many.n, DETAILS_MAX);
	ck_assert_ptr_nonnull(strstr(kept_details(&many, &recent), ",\"n\":7"));
	ck_assert_ptr_null(strstr(recent.details, ",\"n\":8"));
}
END_TEST

/* Whatever fits is whole: never half a member, which would be no JSON. */
START_TEST(details_that_do_not_fit_are_left_out)
{
	struct details details = {.n = 0};
	char ret[sizeof(",\"a\":1,\"c\":3")];

	details_number(&details, "a", 1);
	details_text(&details, "b", "0123456789012345678901234567890123456789");
	details_number(&details, "c", 3);
	ck_assert_str_eq(details_json(&details, ret, sizeof(ret)), ",\"a\":1,\"c\":3");
	ck_assert_str_eq(details_json(&details, ret, sizeof(ret) - 1), ",\"a\":1");
	ck_assert_str_eq(details_json(&details, ret, 1), "");
}
END_TEST

Suite *log_suite(void)
{
	const TTest *const tests[] = {full_pipe_loses_lines,
	                              a_line_that_is_cut_is_counted_lost,
	                              lines_are_printable,
	                              details_are_kept_as_members,
	                              details_that_do_not_fit_are_left_out,
	                              NULL};

	return suite_of("log", tests);
}
