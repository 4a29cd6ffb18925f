/*
 * Handing lb.ini to iniparser.
 *
 * iniparser reads files, by their path, so the plain form goes to a file in memory. It has no way
 * to read another file than the one that was checked, nor to see what where.c refused. That both
 * find the same sections and keys is looked at all the same, by their number here and one by one in
 * values_get(), as iniparser isn't ours.
 */
#include "values.h"

#include <errno.h>
#include <iniparser/iniparser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int values_begin(struct values *values, size_t len)
{
	values->text = malloc(len + sizeof("\n"));
	return values->text ? 0 : -ENOMEM;
}

void values_free(struct values *values)
{
	free(values->text);
	if (values->dictionary)
		iniparser_freedict(values->dictionary);
}

static void add(struct values *values, const char *text)
{
	size_t len = strlen(text);

	memcpy(values->text + values->used, text, len);
	values->used += len;
}

void values_add_section(struct values *values, const char *title)
{
	add(values, "[");
	add(values, title);
	add(values, "]\n");
	values->entries++;
}

void values_add_key(struct values *values, const char *key, const char *assignment)
{
	add(values, key);
	add(values, assignment);
	add(values, "\n");
	values->entries++;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* iniparser prints to stderr unless it is given something else to call. */
static int say_nothing(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

static int read_from(struct values *values, struct notes *notes, int fd)
{
	char path[sizeof("/proc/self/fd/") + 10];
	int ret = write_all(fd, values->text, values->used);

	if (ret)
		return note_errno(notes, -ret);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	iniparser_set_error_callback(say_nothing);
	values->dictionary = iniparser_load(path);
	iniparser_set_error_callback(NULL);
	if (!values->dictionary)
		return note_error(notes, 0, "can't be read by way of %s (is /proc there?)", path);
	if (values->dictionary->n != (int)values->entries)
		return note_error(notes, 0, VALUES_DISAGREE);
	return 0;
}

/* Where the plain form is written for iniparser: made once, as a process that has shut itself in
 * makes no such file any more, and read anew from its beginning. Returns a negative errno on
 * failure. */
static int plain_file(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("lb.ini", MFD_CLOEXEC);
	else if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return fd < 0 ? -errno : fd;
}

int values_read(struct values *values, struct notes *notes)
{
	int fd = plain_file();

	return fd < 0 ? note_errno(notes, -fd) : read_from(values, notes, fd);
}

const char *values_get(const struct values *values, const char *title, const char *key)
{
	char name[2 * VALUES_TITLE_BYTES];

	snprintf(name, sizeof(name), "%s:%s", title, key);
	return iniparser_getstring(values->dictionary, name, NULL);
}
