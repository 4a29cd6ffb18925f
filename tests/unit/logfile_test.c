/*
 * A connection log's file, and that of the statistics: whole or not at all, and what is lost is
 * said.
 */
#include "suites.h"

#include "../../bridge/operator/statsfile.h"
#include "../../bridge/process/recent.h"
#include "../../bridge/worker/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64] = "/tmp/logfile_test";

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

/* As stdout by "> FILE": no write moves it to the end. */
START_TEST(where_the_disk_was_full_a_file_goes_on_without_a_gap)
{
	static const char line[] = "0123456789012345678\n";
	struct logfile_counts counts = {0, 0};
	struct logfile file;
	char text[64];
	rlim_t was;
	int fd;

	begin(&file);
	logfile_close(&file);
	file.fd = fd = open(path, O_RDWR);
	was = limit_files(50);
	for (unsigned i = 0; i < 4; i++)
		logfile_put(&file, line, 20, 1, &counts); /* of the third one 10 bytes fit */
	limit_files(was);
	logfile_put(&file, line, 20, 1, &counts);
	ck_assert(counts.written == 3 && counts.lost == 2 && size() == 60);
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 60);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_mem_eq(text + i * 20, line, 20);
	logfile_close(&file);
	unlink(path);
}
END_TEST

/* What takes no more is a pipe's reader, and not a disk. */
START_TEST(what_a_pipes_reader_does_is_said_in_words)
{
	static const char line[] = "0123456789012345678\n";
	struct logfile_counts counts = {0, 0};
	struct logfile file;
	int reader;

	begin(&file);
	logfile_close(&file);
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(logfile_open(&file), -ENXIO);
	says("connection log: nobody reads this pipe");
	reader = open(path, O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(logfile_open(&file), 0);
	while (!counts.lost)
		logfile_put(&file, line, 20, 1, &counts);
	says("connection log: its reader doesn't keep up: lines are lost (1)");
	says(",\"error\":\"its reader doesn't keep up\"");
	atomic_store(&file.next, 0); /* 10 s are over */
	logfile_lose(&file, 1, ENOBUFS, &counts);
	says("its reader doesn't keep up: lines are lost (1)");
	close(reader);
	signal(SIGPIPE, SIG_IGN);
	atomic_store(&file.next, 0);
	file.stalled = false;
	logfile_put(&file, line, 20, 1, &counts);
	says("nobody reads this pipe: lines are lost (1)");
	logfile_close(&file);
	unlink(path);
}
END_TEST

/* What the kernel says, also where the C library has written a part already. */
START_TEST(statistics_that_have_no_room_say_why)
{
	static char text[100000], stats[sizeof(path) + 8];
	int whole, small, large;
	rlim_t was;

	memset(text, 'x', sizeof(text) - 1);
	snprintf(stats, sizeof(stats), "%s.stats", path);
	whole = statsfile_write(text, stats);
	unlink(stats);
	was = limit_files(50); /* also Check's, which says what has failed */
	small = statsfile_write(text + sizeof(text) - 100, stats);
	large = statsfile_write(text, stats);
	limit_files(was);
	ck_assert(!whole && small == -EFBIG && large == -EFBIG);
	says("statistics: File too large");
}
END_TEST

Suite *logfile_suite(void)
{
	const TTest *const tests[] = {lines_are_whole_and_lost_ones_are_said,
	                              where_the_disk_was_full_a_file_goes_on_without_a_gap,
	                              what_a_pipes_reader_does_is_said_in_words,
	                              statistics_that_have_no_room_say_why, NULL};

	return suite_of("logfile", tests);
}
