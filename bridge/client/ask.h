/*
 * Requests to a running tmbridge.
 */
#ifndef BRIDGE_ASK_H
#define BRIDGE_ASK_H

#include <jansson.h>
#include <stdbool.h>

/* Exit statuses of the command line that this end gives; else it is the answer's
 * (operator/answer.h, where the same numbers mean the same). */
enum { ASK_DONE = 0, ASK_FAILED = 1, ASK_USAGE = 2, ASK_NOT_THERE = 3, ASK_NO_OBJECT = 4 };

struct ask;

/*
 * Connects to the instance of that name ("eth0-eth1"), or to the only one if it is NULL; by the
 * control socket, or unless control is set by the status socket if this user may not use the
 * former. Returns 0 and sets *ret, or an exit status with the reason logged.
 */
int ask_open(const char *instance, bool control, struct ask **ret);
void ask_close(struct ask *ask);

/* Sends a line, given without its line feed. False, with the reason logged, if it can't. */
bool ask_send(struct ask *ask, const char *line);

/*
 * The next record of the answer, for the caller to json_decref(), or NULL after the last: then *ret
 * is the exit status, a reason other than 0 having been logged. ask_line() is the last one as it
 * came.
 */
json_t *ask_next(struct ask *ask, int *ret);
const char *ask_line(const struct ask *ask);

/* The text that a record, or an object in it, has by that name; "-" if it has none. */
const char *ask_text(const json_t *record, const char *member);

/* The descriptor, for poll(2); and if a whole record has come already, so that it need not be
 * waited for. */
int ask_fd(const struct ask *ask);
bool ask_has_line(const struct ask *ask);

#endif
