/*
 * The numbers and times that operators type, on a command line or in a request: one list says what
 * each may be.
 */
#ifndef BRIDGE_QUANTITY_H
#define BRIDGE_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

enum quantity {
	QUANTITY_LIMIT,   /* rows, or events: 0 is none of them */
	QUANTITY_SORTED,  /* flows that the running process sorts */
	QUANTITY_SHOWN,   /* records that the console sends at a time */
	QUANTITY_PACKETS, /* of a capture */
	QUANTITY_WEIGHT,  /* of a server */
	QUANTITY_SECONDS, /* that a capture takes; this and the rest are times */
	QUANTITY_WATCH,   /* between two looks */
	QUANTITY_WAIT,    /* until a server is empty: 0 is not at all */
	QUANTITY_FOR,     /* that a verdict on a server counts */
	QUANTITY_AGE,     /* of flows, as the next */
	QUANTITY_IDLE,
	NQUANTITIES
};

enum { QUANTITY_WHY_BYTES = 200, QUANTITY_SORTED_MAX = 1000, QUANTITY_SHOWN_MAX = 1000 };

/*
 * What text says of it: a whole number in decimal digits, or a time in ms. A time is as lb.ini has
 * it (500ms, 90s, 30m, 1h, 1d), or several as tables show them (1h30m), or a number of seconds,
 * which may have a decimal point. False if it is none, or too little or too much: then why says
 * what it may be, and *ret is untouched.
 */
bool quantity_parse(enum quantity quantity, const char *text, uint64_t *ret,
                    char why[QUANTITY_WHY_BYTES]);

#endif
