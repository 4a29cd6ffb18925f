/*
 * What a health check sends to a server, and what it expects as the answer.
 */
#ifndef LB_SCRIPT_H
#define LB_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SCRIPT_SEND_MAX = 512,    /* bytes: one segment of any TCP (RFC 9293, 3.7.1: 536) */
	SCRIPT_EXPECT_MAX = 128,  /* bytes of a pattern */
	SCRIPT_ANSWER_MAX = 2048, /* bytes of an answer that are looked at */
	SCRIPT_DIGITS_MAX = 5,    /* of a number that follows a pattern; of more it is none */
};

/* Where in the answer the pattern is to be. */
enum script_where {
	SCRIPT_PREFIX,   /* at the beginning */
	SCRIPT_ANYWHERE, /* somewhere */
	SCRIPT_LINE,     /* no pattern: any answer will do, up to the end of its line or its own */
};

/* Consistent, as cfg/ makes it: lengths within the bounds above. It goes with its rules. */
struct script {
	char *text;      /* as `check` calls it: "http /health"; of a section its name */
	bool is_section; /* a [check NAME], which several farms may name */
	uint8_t *send;   /* sent as soon as the server has accepted; NULL: nothing is */
	uint8_t *expect,
	        *mask; /* a byte matches where they differ in no bit of mask; may be NULL */
	uint16_t nsend, nexpect;
	/* a decimal number that stands right behind the pattern; high is 0: nothing is asked */
	uint16_t low, high;
	uint8_t where; /* enum script_where */
};

/* If both send and expect the same. Either may be NULL: a TCP connect alone. */
bool script_eq(const struct script *a, const struct script *b);

#endif
