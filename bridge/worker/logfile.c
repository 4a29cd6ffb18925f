/*
 * Lines are appended with one write() each batch; what doesn't fit on the disk is cut off again, so
 * that a file holds whole lines only. Pipes get line by line, and lose those that their reader
 * doesn't come to take.
 *
 * Two struct logfile may be the same file, as when a reload opens a log again while its old writer
 * still has lines. They append in turns, as one would else cut off what the other has written.
 *
 * Each line that is lost is counted, and said: the first at once, then how many once in ten
 * seconds, by whoever loses or writes the next one, or at the end.
 */
#include "logfile.h"

#include "logline.h"
#include "../process/clock.h"
#include "../process/files.h"
#include "../process/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LOGFILE_COMPLAIN_S = 10,
	LOGFILE_READER_MS = 1000, /* for the reader of a pipe */
	LOGFILE_TURNS = 8,
};

/*
 * Who has one of them may append to a file that it stands for, and nobody else in this process. By
 * inode, so that two files seldom share one.
 */
static pthread_mutex_t turns[LOGFILE_TURNS] = {
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

/* Logs how many lines have been lost since it was logged last, if any. From any thread. */
static void complain(struct logfile *file)
{
	const unsigned long long lost = atomic_exchange(&file->lost, 0);
	const int err = atomic_load(&file->err);
	const char *why = file_fault(err == ENOBUFS && !file->is_regular ? EAGAIN : err);
	struct details details = {.n = 0};

	if (!lost)
		return;
	details_text(&details, "error", why);
	details_number(&details, "lost", lost);
	log_with(LOG_WARNING, &details, "%s: connection log: %s: lines are lost (%llu)", file->path,
	         why, lost);
}

static void complain_in_time(struct logfile *file)
{
	const unsigned long long now = clock_now().ns;
	unsigned long long next = atomic_load(&file->next);

	if (now >= next &&
	    atomic_compare_exchange_strong(
	            &file->next, &next, now + LOGFILE_COMPLAIN_S * (unsigned long long)LB_NS_PER_S))
		complain(file);
}

void logfile_lose(struct logfile *file, unsigned n, int err, struct logfile_counts *counts)
{
	atomic_fetch_add(&counts->lost, n);
	atomic_store(&file->err, err);
	atomic_fetch_add(&file->lost, n);
	complain_in_time(file);
}

/* Cuts off what was written last, and goes back to there: stdout goes on where it is, and not at
 * the file's end. */
static int take_back(int fd, ssize_t done)
{
	const off_t end = lseek(fd, 0, SEEK_CUR);

	if (end < done || ftruncate(fd, end - done) < 0)
		return -1;
	return lseek(fd, end - done, SEEK_SET) < 0 ? -1 : 0;
}

/* Appends, all or nothing; nobody else of this process does so meanwhile. */
static int append_alone(const struct logfile *file, const char *text, size_t len)
{
	ssize_t done = write(file->fd, text, len);
	int err = errno;

	if (done == (ssize_t)len)
		return 0;
	if (done > 0)
		err = take_back(file->fd, done) < 0 ? EIO : ENOSPC;
	return -err;
}

/* Appends to a file, all or nothing. Returns 0 or a negative errno. */
static int append(const struct logfile *file, const char *text, size_t len)
{
	int err;

	pthread_mutex_lock(&turns[file->turn]);
	err = append_alone(file, text, len);
	pthread_mutex_unlock(&turns[file->turn]);
	return err;
}

/*
 * Hands a line to the reader of a pipe, for whom it waits once. Pipes take up to PIPE_BUF whole or
 * not at all (pipe(7)).
 */
static int hand_over(struct logfile *file, const char *line, size_t len)
{
	struct pollfd out = {.fd = file->fd, .events = POLLOUT};
	ssize_t done;

	static_assert(LOGLINE_BYTES <= PIPE_BUF, "a line is written whole");
	file->stalled = poll(&out, 1, file->stalled ? 0 : LOGFILE_READER_MS) == 0;
	if (file->stalled)
		return -EAGAIN;
	done = write(file->fd, line, len);
	return done == (ssize_t)len ? 0 : done < 0 ? -errno : -EIO;
}

static void count(struct logfile *file, unsigned n, int err, struct logfile_counts *counts)
{
	if (err) {
		logfile_lose(file, n, -err, counts);
		return;
	}
	atomic_fetch_add(&counts->written, n);
	if (atomic_load_explicit(&file->lost, memory_order_relaxed))
		complain_in_time(file);
}

void logfile_put(struct logfile *file, const char *text, size_t len, unsigned n,
                 struct logfile_counts *counts)
{
	if (file->is_regular) {
		count(file, n, append(file, text, len), counts);
		return;
	}
	for (; n; n--) {
		size_t line = (size_t)((const char *)memchr(text, '\n', len) - text) + 1;

		count(file, 1, hand_over(file, text, line), counts);
		text += line;
		len -= line;
	}
}

/* Returns a descriptor or a negative errno. A pipe is not waited for, here and later. */
static int open_path(const char *path)
{
	int fd;

	if (!strcmp(path, "-"))
		return STDOUT_FILENO;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0640);
	if (fd >= 0)
		return fd;
	fd = -errno;
	log_error("%s: connection log: %s", path, file_fault(-fd));
	return fd;
}

int logfile_open(struct logfile *file)
{
	struct stat st;

	file->fd = open_path(file->path);
	if (file->fd < 0)
		return file->fd;
	file->is_regular = fstat(file->fd, &st) == 0 && S_ISREG(st.st_mode);
	if (file->is_regular)
		file->turn = (unsigned)(st.st_ino % LOGFILE_TURNS);
	return 0;
}

void logfile_close(struct logfile *file)
{
	complain(file);
	if (file->fd > STDERR_FILENO)
		close(file->fd);
	file->fd = -1;
}
