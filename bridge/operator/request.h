/*
 * A request: one line of words, as typed.
 */
#ifndef BRIDGE_REQUEST_H
#define BRIDGE_REQUEST_H

#include <stdbool.h>

enum { REQUEST_WORDS = 64, REQUEST_BYTES = 4096 /* with its line feed */ };

struct request {
	char *words[REQUEST_WORDS + 1]; /* NULL behind the last */
	unsigned n;
};

/*
 * Cuts a line, which is written to, into its words: what spaces and tabs separate. False if there
 * are too many, or a byte that isn't printable ASCII.
 */
bool request_split(char *line, struct request *ret);

/*
 * Takes an option and its value out of the words: "--wait 15m" or "--wait=15m". Returns the value,
 * or NULL if it isn't there. The other takes one that has no value.
 */
const char *request_take(struct request *request, const char *option);
bool request_take_flag(struct request *request, const char *option);

#endif
