/*
 * The figures as JSON.
 */
#ifndef BRIDGE_STATS_H
#define BRIDGE_STATS_H

#include "snapshot.h"

/*
 * One JSON object, on several lines. Returns text that the caller frees, or NULL if memory runs
 * out.
 */
char *stats_text(const struct snapshot *snapshot);

#endif
