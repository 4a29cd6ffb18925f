/*
 * The only place that prints messages. What they quote, of files, arguments and peers, is anything
 * at all: no byte of it gets to do anything to a terminal.
 *
 * A line is put together first and written with one call, so that lines of several processes don't
 * mix. Workers print too, and wait for nobody: what a stopped terminal or a full pipe doesn't take
 * is lost, and counted in the next line that is printed. When stderr is the journal a line goes
 * there with its fields; if that can't be, to stderr with its syslog level before it
 * (sd-daemon(3)).
 */
#include "log.h"

#include "journal.h"
#include "recent.h"
#include "text.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum {
	LOG_PREFIX_BYTES = 16, /* "<7>tmbridge: " */
	LOG_LINE_BYTES = 1024,
	LOG_LOST_BYTES = 40, /* " (4294967295 lines were lost)", a newline and the end */
};

static bool verbose;
static atomic_uint lost;   /* lines since the last one that was printed */
static atomic_bool is_cut; /* the last one of these: its end is still to come */

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

void log_open(void)
{
	if (is_journal())
		journal_open(NULL);
}

static bool is_writable(void)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) != 0;
}

static void write_line(int level, const char *message)
{
	char line[LOG_PREFIX_BYTES + sizeof("\ntmbridge: ") + LOG_LINE_BYTES + LOG_LOST_BYTES];
	unsigned missing;
	ssize_t done;
	bool was_cut;
	char prefix[sizeof("<7>")] = "";

	if (!is_writable()) {
		atomic_fetch_add(&lost, 1);
		return;
	}
	if (is_journal())
		snprintf(prefix, sizeof(prefix), "<%d>", level & LOG_PRIMASK);
	was_cut = atomic_exchange(&is_cut, false);
	snprintf(line, sizeof(line) - LOG_LOST_BYTES, "%s%stmbridge: %s", was_cut ? "\n" : "",
	         prefix, message);
	missing = atomic_exchange(&lost, 0);
	if (missing)
		snprintf(line + strlen(line), LOG_LOST_BYTES, " (%u lines were lost)", missing);
	strcat(line, "\n");
	done = write(STDERR_FILENO, line, strlen(line));
	if (done == (ssize_t)strlen(line))
		return;
	/* a full disk takes a part */
	atomic_store(&is_cut, was_cut || done > 0);
	atomic_fetch_add(&lost, missing + 1);
}

static void print(int level, const struct details *details, const char *format, va_list args)
{
	char message[LOG_LINE_BYTES - LOG_PREFIX_BYTES];

	vsnprintf(message, sizeof(message), format, args);
	text_printable(message);
	if (level != LOG_DEBUG)
		recent_note(level & LOG_PRIMASK, message, details); /* whatever becomes of it now */
	if (!journal_send(level, message, details))
		write_line(level, message);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_ERR, NULL, format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_WARNING, NULL, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(LOG_INFO, NULL, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	if (!verbose)
		return;
	va_start(args, format);
	print(LOG_DEBUG, NULL, format, args);
	va_end(args);
}

void log_with(int level, const struct details *details, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(level, details, format, args);
	va_end(args);
}
