/*
 * Messages to a reader who doesn't read.
 */
#include "suites.h"

#include "../../bridge/process/log.h"

#include <fcntl.h>
#include <string.h>
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

Suite *log_suite(void)
{
	const TTest *const tests[] = {full_pipe_loses_lines, NULL};

	return suite_of("log", tests);
}
