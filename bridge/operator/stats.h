/*
 * The counters as JSON.
 */
#ifndef BRIDGE_STATS_H
#define BRIDGE_STATS_H

#include "../worker/workers.h"

/*
 * The counters of all workers, none of which may be running, as one JSON object on one line. uptime
 * is since the start. Returns text that the caller frees, or NULL if memory runs out.
 */
char *stats_text(const struct workers *workers, lb_time uptime);

/*
 * Writes text to the file at path, which is replaced whole, or to stdout if path is "-". Returns 0,
 * or a negative errno with the reason logged.
 */
int stats_write(const char *text, const char *path);

#endif
