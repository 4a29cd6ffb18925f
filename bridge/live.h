/*
 * Balancing between two interfaces.
 */
#ifndef BRIDGE_LIVE_H
#define BRIDGE_LIVE_H

#include "options.h"
#include "../lb/rules.h"

/* Reads the configuration anew, for a reload. Returns NULL, with the reason logged, if it is bad.
 */
typedef struct rules *live_load(const struct options *options);

/*
 * Runs between the interfaces that options names until SIGINT or SIGTERM; SIGHUP
 * reloads by load. Frees rules. Returns 0 then, or a
 * negative errno with the reason logged.
 */
int live_run(const struct options *options, struct rules *rules, live_load *load);

#endif
