/*
 * What the figures were: each second of the last hour, each minute of the last week.
 */
#ifndef CONSOLE_HISTORY_H
#define CONSOLE_HISTORY_H

#include <stdint.h>
#include <stdio.h>

/* Bounds of the memory: 54,720 bytes a series, which is 54 MiB at most. */
enum {
	HISTORY_HOUR = 3600,     /* seconds */
	HISTORY_WEEK = 7 * 1440, /* minutes */
	HISTORY_SERIES_MAX = 1024,
	HISTORY_NAME_BYTES = 160,
	HISTORY_PICKED_MAX = 32, /* at a time: a week of one is up to 100 KB of text */
};

struct history;

/* NULL if memory runs out. */
struct history *history_new(void);
void history_free(struct history *history);

/* Goes on to another second of a clock that never goes back: seconds that were left out have no
 * values. */
void history_begin(struct history *history, int64_t second);

/* Notes the value of a series in this second. Beyond the bounds, a series takes the place of one
 * that has had no value for an hour, or is left out; so is one whose name isn't what stands in a
 * JSON string. */
void history_note(struct history *history, const char *name, double value);

enum history_range { HISTORY_BY_SECOND, HISTORY_BY_MINUTE };

/* A copy of series by their names, with commas between: the first HISTORY_PICKED_MAX, each once; a
 * name that there is no series of is left out. NULL if memory runs out. */
struct history *history_pick(const struct history *history, const char *names);

/*
 * Prints a JSON object of all series: their values, oldest first, null where there is none. "end"
 * is the newest one's second plus offset: in Unix time if Unix time is so many seconds ahead of the
 * clock of history_begin().
 */
void history_print(const struct history *history, FILE *out, enum history_range range,
                   int64_t offset);

#endif
