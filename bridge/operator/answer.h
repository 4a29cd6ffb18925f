/*
 * What a client is sent: lines of JSON, up to one that says how it ended.
 */
#ifndef BRIDGE_ANSWER_H
#define BRIDGE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a request can end; the same as exit statuses of the command line. */
enum answer_exit {
	ANSWER_DONE = 0,
	ANSWER_FAILED = 1,
	ANSWER_USAGE = 2,     /* or a configuration that is wrong */
	ANSWER_NOT_THERE = 3, /* nobody runs, or the caller may not: only the client says so */
	ANSWER_NO_OBJECT = 4, /* no such server, farm, flow */
	ANSWER_NOT_IN_TIME = 5,
	ANSWER_REFUSED = 6, /* not in this state */
};

enum { ANSWER_BYTES = 64 << 10 }; /* that wait for a reader */

struct answer {
	char out[ANSWER_BYTES];
	size_t at, len; /* what waits is out[at] up to len */
	char *text;     /* more, which is held until it has been sent; or NULL */
	size_t text_at, text_len;
	uint64_t lost; /* records that found no room since the last that did */
	bool ended;
};

/* The room for records that is left, in bytes; none while held text waits, which goes first. */
size_t answer_room(const struct answer *answer);

/*
 * Adds a record: a line of JSON, given without its line feed. If there is no room it is lost, which
 * the next record that finds some says before itself.
 */
void answer_record(struct answer *answer, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Begins with text of any length, of whole lines, which belongs to answer from now on. */
void answer_hold(struct answer *answer, char *text);

/* Adds the last line. There is always room for it. */
void answer_end(struct answer *answer);

/* Adds the last line of a request that failed: code is a word, the message text for people, nearest
 * a name that may have been meant, or NULL. */
void answer_fail(struct answer *answer, enum answer_exit status, const char *code,
                 const char *nearest, const char *format, ...)
        __attribute__((format(printf, 5, 6)));

/* The bytes to be sent next; *ret_len is 0 if none wait. answer_sent() takes those out that were
 * sent. */
const char *answer_next(const struct answer *answer, size_t *ret_len);
void answer_sent(struct answer *answer, size_t len);

/* Forgets all. */
void answer_clear(struct answer *answer);

#endif
