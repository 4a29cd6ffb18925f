/*
 * A thread that writes the statistics, so that nobody else waits for a disk or a reader.
 */
#ifndef BRIDGE_WRITER_H
#define BRIDGE_WRITER_H

#include <stdbool.h>

struct writer;

/* Starts it, for the file at path, which must stay. Returns 0 and sets *ret, or a negative errno
 * with the reason logged. */
int writer_open(const char *path, struct writer **ret);

/*
 * Has text, which is freed afterwards, written as statsfile_write() does. Returns false, and frees
 * it at once, if an earlier one is still being written. Never waits.
 */
bool writer_put(struct writer *writer, char *text);

/*
 * Has text written, after what is being written, and ends: waits for both, WRITER_END_MS at the
 * most. text may be NULL. Whatever isn't written by then is given up, which is logged.
 */
enum { WRITER_END_MS = 5000 };
void writer_close(struct writer *writer, char *text);

#endif
