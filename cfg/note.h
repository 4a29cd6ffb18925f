/*
 * One-line findings about lb.ini, as cfg.h promises them.
 */
#ifndef CFG_NOTE_H
#define CFG_NOTE_H

#include "cfg.h"

enum {
	NOTE_BYTES = 1024, /* a finding's text without the path, with its NUL */
};

/* Where findings go, and the path that they begin with. */
struct notes {
	const char *path;
	cfg_note *note;
	void *ctx;
};

/* Notes "path:line: text", or "path: text" if line is 0. note_error() returns -EINVAL. */
int note_error(const struct notes *notes, unsigned line, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
void note_warning(const struct notes *notes, unsigned line, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/* Notes "path: " and the meaning of the errno value err as the error; returns -err. */
int note_errno(const struct notes *notes, int err);

#endif
