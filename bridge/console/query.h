/*
 * Requests to a running tmbridge by its sockets.
 */
#ifndef CONSOLE_QUERY_H
#define CONSOLE_QUERY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	QUERY_FAILED = 1,
	QUERY_NOT_THERE = 3, /* nobody runs, or this user may not ask, or several run */
	QUERY_NOT_IN_TIME = 5,
};

enum { QUERY_BYTES_MAX = 16 << 20 }; /* of an answer */

struct answer {
	char *text; /* the lines as they came, the last one included; for the caller to free */
	size_t len;
	int exit;        /* as the last line says, or one of the above */
	const char *why; /* there is no whole answer; NULL: there is */
};

#define QUERY_ALL UINT_MAX /* records, however many */

/* A question. */
struct question {
	const char *instance; /* NULL: the only one */
	bool control;         /* by the control socket */
	const char *line;     /* without its line feed */
	unsigned limit;       /* of records; or QUERY_ALL */
};

/*
 * Asks, and waits for the answer: five seconds at most, and some for the connection. One that
 * was cut at its limit ends with {"end":true,"exit":0,"cut":true}.
 */
void query(const struct question *question, struct answer *ret);

#endif
