/*
 * The figures of a running tmbridge as they come, each second, for all who look.
 */
#ifndef CONSOLE_FEED_H
#define CONSOLE_FEED_H

#include "history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed;

/* Starts a thread that asks instance each second, or the only one if that is NULL; NULL if it can't
 * be started, with the reason logged. feed_stop() ends it, and all waiting. */
struct feed *feed_start(const char *instance);
void feed_stop(struct feed *feed);
void feed_free(struct feed *feed);

/*
 * Waits for news after those numbered *seen, 2 s at most, and returns them, for the caller to free:
 * messages of server-sent events, "figures" with a record of the statistics, or "away" with the
 * reason, and "log" with the records of new events. NULL at the end; "" if there are none.
 */
char *feed_wait(struct feed *feed, uint64_t *seen);

/* Prints what the figures of these names were, as history_pick() and history_print() do; nothing if
 * memory runs out. */
void feed_print_history(struct feed *feed, FILE *out, enum history_range range, const char *names);

#endif
