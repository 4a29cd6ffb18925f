/*
 * The bytes of lb.ini, read once: what is checked is then what is used, whoever writes to the file
 * meanwhile.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fills file->bytes, of size bytes, or less if the file has become shorter. */
static int read_all(int fd, size_t size, struct file *file)
{
	while (file->len < size) {
		ssize_t got = read(fd, file->bytes + file->len, size - file->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		file->len += (size_t)got;
	}
	return 0;
}

static int file_size(struct notes *notes, int fd, size_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st))
		return note_errno(notes, errno);
	if (S_ISDIR(st.st_mode))
		return note_errno(notes, EISDIR);
	if (!S_ISREG(st.st_mode))
		return note_error(notes, 0, "is not a regular file");
	if (st.st_size > FILE_BYTES_MAX)
		return note_error(notes, 0, "%lld bytes: a configuration file has at most %d",
		                  (long long)st.st_size, FILE_BYTES_MAX);
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int read_open(struct notes *notes, int fd, struct file *file)
{
	size_t size = 0;
	int ret = file_size(notes, fd, &size);

	if (ret)
		return ret;
	file->bytes = malloc(size + 1);
	ret = file->bytes ? read_all(fd, size, file) : -ENOMEM;
	return ret ? note_errno(notes, -ret) : 0;
}

int file_read(struct notes *notes, struct file *file)
{
	/* O_NONBLOCK: a named pipe without a writer is to be refused, not waited for. */
	int fd = open(notes->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int ret;

	if (fd < 0)
		return note_errno(notes, errno);
	ret = read_open(notes, fd, file);
	close(fd);
	return ret;
}
