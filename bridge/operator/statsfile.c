/*
 * Writing the statistics' file: it is written beside its place and then renamed, so whoever reads
 * it never sees half of one.
 */
#include "statsfile.h"

#include "../process/files.h"
#include "../process/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATS_READER_MS = 1000 };

static int write_file(const char *text, const char *path)
{
	char *beside = NULL;
	FILE *out = NULL;
	int err = 0;

	if (asprintf(&beside, "%s.new", path) < 0)
		return -ENOMEM;
	unlink(beside); /* one that a crash has left may be somebody else's */
	out = fopen(beside, "wx");
	if (!out) {
		err = -errno;
		goto done;
	}
	if (fputs(text, out) == EOF)
		err = -errno;
	if (fclose(out) != 0 && !err)
		err = -errno;
	if (!err && rename(beside, path) < 0)
		err = -errno;
	if (err)
		unlink(beside);
done:
	if (err)
		log_error("%s: statistics: %s", path, strerror(-err));
	free(beside);
	return err;
}

/*
 * Writes all of it, unless whoever reads a pipe takes nothing for STATS_READER_MS. It goes in parts
 * of PIPE_BUF bytes, as a pipe that poll() calls writable has room for so many (pipe(7)). Returns 0
 * or a negative errno.
 */
static int write_patiently(int fd, const char *text)
{
	struct pollfd out = {.fd = fd, .events = POLLOUT};
	size_t left = strlen(text);

	while (left) {
		size_t n = left < PIPE_BUF ? left : PIPE_BUF;
		ssize_t done = poll(&out, 1, STATS_READER_MS) ? write(fd, text, n) : -1;

		if (done < 0)
			return out.revents ? -errno : -ETIMEDOUT;
		text += done;
		left -= (size_t)done;
	}
	return 0;
}

static int complain(const char *path, int err)
{
	if (err)
		log_error("%s: statistics: %s", path, file_fault(-err));
	return err;
}

/* Not by stdio, which would ask for the descriptor's flags: see syscalls.c. */
static int write_in_place(const char *text, const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_TRUNC | O_CLOEXEC);
	int err = fd < 0 ? -errno : write_patiently(fd, text);

	if (fd >= 0)
		close(fd);
	return complain(path, err);
}

int statsfile_write(const char *text, const char *path)
{
	const struct file_used file = {path, FILE_REPLACE};

	if (!strcmp(path, "-"))
		return complain(path, write_patiently(STDOUT_FILENO, text));
	/* /dev/stdout: neither it nor what it leads to can be replaced by renaming */
	return file_stays(&file) ? write_in_place(text, path) : write_file(text, path);
}
