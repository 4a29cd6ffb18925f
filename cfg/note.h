/*
 * One-line findings about lb.ini, as cfg.h promises them.
 */
#ifndef CFG_NOTE_H
#define CFG_NOTE_H

#include "cfg.h"

enum {
	NOTE_BYTES = 1024,    /* a finding's text without the path, with its NUL */
	NOTE_ERRORS_MAX = 50, /* the further ones of a file are only counted */
};

/* Where findings go, the path that they begin with, and how many of them were errors. */
struct notes {
	const char *path;
	cfg_note *note;
	void *ctx;
	unsigned errors;
};

/* Notes "path:line: text", or "path: text" if line is 0. note_error() returns -EINVAL. */
int note_error(struct notes *notes, unsigned line, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
void note_warning(struct notes *notes, unsigned line, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Notes "path: " and the meaning of the errno value err as the error; returns -err. */
int note_errno(struct notes *notes, int err);

/* Notes how many errors there were beyond NOTE_ERRORS_MAX, if any. */
void note_rest(const struct notes *notes);

#endif
