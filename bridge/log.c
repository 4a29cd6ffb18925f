/*
 * The only place that prints messages.
 *
 * A line is put together first and written with one call, so that lines of several processes don't
 * mix. When stderr is the journal each line begins with its syslog level (sd-daemon(3)).
 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { LOG_LINE_BYTES = 1024 };

static bool verbose;

void log_verbose(bool on)
{
	verbose = on;
}

/* $JOURNAL_STREAM names the device and inode of the journal's socket (systemd.exec(5)). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void print(int level, const char *format, va_list args)
{
	char line[LOG_LINE_BYTES];
	size_t at = 0;

	if (is_journal())
		at = (size_t)snprintf(line, sizeof(line), "<%d>", level);
	at += (size_t)snprintf(line + at, sizeof(line) - at, "tmbridge: ");
	vsnprintf(line + at, sizeof(line) - at - 1, format, args);
	strcat(line, "\n");
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* there is nobody left to tell */
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_ERR, format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_WARNING, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_INFO, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	va_start(args, format);
	print(LOG_DEBUG, format, args);
	va_end(args);
}
