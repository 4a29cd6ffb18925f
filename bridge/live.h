/*
 * Balancing between two interfaces.
 */
#ifndef BRIDGE_LIVE_H
#define BRIDGE_LIVE_H

#include "options.h"
#include "../lb/rules.h"

/*
 * Runs between the interfaces that options names until SIGINT or SIGTERM. Returns 0 then, or a
 * negative errno with the reason logged.
 */
int live_run(const struct options *options, const struct rules *rules);

#endif
