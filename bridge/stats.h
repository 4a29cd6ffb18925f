/*
 * The counters as JSON.
 */
#ifndef BRIDGE_STATS_H
#define BRIDGE_STATS_H

#include "worker.h"

/*
 * Writes worker's counters, one JSON object on one line, to the file at path, which is replaced
 * whole, or to stdout if path is "-". uptime is since worker's start. Returns 0, or a negative
 * errno with the reason logged.
 */
int stats_write(const struct worker *worker, lb_time uptime, const char *path);

#endif
