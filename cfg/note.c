/*
 * How a finding about lb.ini is put into words: path, line, text.
 *
 * What the file holds is quoted in findings, and so is the path: ASCII's controls, which could move
 * a terminal's cursor or break the line, are shown as question marks. What isn't ASCII is left to
 * whoever prints it. A finding that is too long loses
 * its end. After NOTE_ERRORS_MAX errors the rest is only counted: a file of another kind would
 * otherwise fill the log. Nothing is printed here.
 */
#include "note.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static void note(const struct notes *notes, bool is_error, unsigned line, const char *text)
{
	char whole[PATH_MAX + NOTE_BYTES];

	if (line)
		snprintf(whole, sizeof(whole), "%s:%u: %s", notes->path, line, text);
	else
		snprintf(whole, sizeof(whole), "%s: %s", notes->path, text);
	make_printable(whole);
	notes->note(notes->ctx, is_error, whole);
}

int note_error(struct notes *notes, unsigned line, const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (notes->errors++ < NOTE_ERRORS_MAX)
		note(notes, true, line, text);
	return -EINVAL;
}

void note_warning(struct notes *notes, unsigned line, const char *fmt, ...)
{
	char text[NOTE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	note(notes, false, line, text);
}

int note_errno(struct notes *notes, int err)
{
	notes->errors++;
	note(notes, true, 0, strerror(err));
	return -err;
}

void note_rest(const struct notes *notes)
{
	char text[NOTE_BYTES];

	if (notes->errors <= NOTE_ERRORS_MAX)
		return;
	snprintf(text, sizeof(text), "and %u more", notes->errors - NOTE_ERRORS_MAX);
	note(notes, true, 0, text);
}
