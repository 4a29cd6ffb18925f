/*
 * A connection log's file: whole lines or none, each lost one counted and said.
 */
#include "suites.h"

#include "../../bridge/process/recent.h"
#include "../../bridge/worker/logfile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static void begin(struct logfile *file)
{
	int fd;

	strcpy(path, "/tmp/logfile_test.XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	memset(file, 0, sizeof(*file));
	file->path = path;
	ck_assert_int_eq(logfile_open(file), 0);
}

/* No file may grow further: what a full disk does. */
static rlim_t limit_files(rlim_t bytes)
{
	struct rlimit limit;
	rlim_t was;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	was = limit.rlim_cur;
	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	return was;
}

static off_t size(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

static void says(const char *what)
{
	struct recent recent;

	ck_assert(recent_get(recent_last(), &recent));
	if (!strstr(recent.text, what) && !strstr(recent.details, what))
		ck_abort_msg("%s%s: not %s", recent.text, recent.details, what);
}

START_TEST(lines_are_whole_and_lost_ones_are_said)
{
	static const char lines[] = "0123456789012345678\n0123456789012345678\n";
	struct logfile_counts counts = {0, 0};
	struct logfile file;
	uint64_t said;
	rlim_t was;

	begin(&file);
	said = recent_last();
	was = limit_files(50);
	logfile_put(&file, lines, 40, 2, &counts);
	ck_assert_uint_eq(recent_last(), said);
	logfile_put(&file, lines, 40, 2, &counts); /* 10 bytes would fit */
	ck_assert_int_eq(size(), 40);
	ck_assert(counts.written == 2 && counts.lost == 2);
	ck_assert_uint_eq(recent_last(), said + 1);
	says("connection log: No space left on device: lines are lost (2)");
	says(",\"lost\":2");
	logfile_put(&file, lines, 40, 2, &counts);
	logfile_lose(&file, 3, ENOBUFS, &counts); /* another thread's, for whom no room was */
	ck_assert_uint_eq(recent_last(), said + 1);
	limit_files(was);
	logfile_put(&file, lines, 20, 1, &counts);
	ck_assert(counts.written == 3 && counts.lost == 7 && size() == 60);
	ck_assert_uint_eq(recent_last(), said + 1);
	atomic_store(&file.next, 0); /* 10 s are over */
	logfile_put(&file, lines, 20, 1, &counts);
	ck_assert_uint_eq(recent_last(), said + 2);
	says("lines are lost (5)");
	logfile_put(&file, lines, 20, 1, &counts);
	ck_assert_uint_eq(recent_last(), said + 2);
	logfile_lose(&file, 1, ENOBUFS, &counts);
	logfile_close(&file);
	ck_assert_uint_eq(recent_last(), said + 3);
	says("the disk is too slow: lines are lost (1)");
	ck_assert(counts.written == 5 && counts.lost == 8 && size() == 100);
	unlink(path);
}
END_TEST

Suite *logfile_suite(void)
{
	const TTest *const tests[] = {lines_are_whole_and_lost_ones_are_said, NULL};

	return suite_of("logfile", tests);
}
