/*
 * What the figures were: each second of the last hour, each minute of the last week.
 */
#ifndef CONSOLE_HISTORY_H
#define CONSOLE_HISTORY_H

#include <stdint.h>
#include <stdio.h>

/* Bounds of the memory: 54,720 bytes a series, which is 56 MiB at most. */
enum {
	HISTORY_HOUR = 3600,     /* seconds */
	HISTORY_WEEK = 7 * 1440, /* minutes */
	HISTORY_SERIES_MAX = 1024,
	HISTORY_NAME_BYTES = 160,
};

struct history;

/* NULL if memory runs out. */
struct history *history_new(void);
void history_free(struct history *history);

/* Goes on to another second of a clock that never goes back: seconds that were left out have no
 * values. */
void history_begin(struct history *history, int64_t second);

/* The value of a series in this second. Beyond the bounds, series are left out. */
void history_note(struct history *history, const char *name, double value);

enum history_range { HISTORY_BY_SECOND, HISTORY_BY_MINUTE };

/*
 * Prints a JSON object of series, named with commas between: their values, oldest first, null where
 * there is none; a name that there is no series of is left out. "end" is the newest one's second,
 * of Unix time if offset is what that is ahead of the seconds here.
 */
void history_print(const struct history *history, FILE *out, enum history_range range,
                   const char *names, int64_t offset);

#endif
