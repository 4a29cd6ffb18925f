/*
 * The last lines that the log was told, for whoever asks what has happened.
 */
#ifndef BRIDGE_RECENT_H
#define BRIDGE_RECENT_H

#include "details.h"

enum {
	RECENT_LINES = 1000,        /* that are kept, */
	RECENT_PLACES = 1024,       /* and some more, that may be being written */
	RECENT_BYTES = 480,         /* of a line, with its NUL */
	RECENT_DETAILS_BYTES = 320, /* of its details as JSON, likewise */
};

struct recent {
	uint64_t number; /* 1 is the first since the start */
	int64_t time_ms; /* of the day, since 1970 */
	int level;       /* syslog's */
	char text[RECENT_BYTES];
	char details[RECENT_DETAILS_BYTES]; /* members with a comma before each */
};

/*
 * Keeps a line, cut to fit, and its details, which may be NULL. From any thread; waits for nobody.
 */
void recent_note(int level, const char *text, const struct details *details);

/* The number of the last one; 0: there was none. */
uint64_t recent_last(void);

/* The line of that number: false if it has been pushed out, or isn't there yet. */
bool recent_get(uint64_t number, struct recent *ret);

#endif
