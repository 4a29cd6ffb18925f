/*
 * Balancing between two interfaces.
 */
#ifndef BRIDGE_LIVE_H
#define BRIDGE_LIVE_H

#include "reload.h"

/*
 * Runs between the interfaces that options names until SIGINT or SIGTERM; SIGHUP
 * reloads by load. Frees rules. Returns 0 then, or a
 * negative errno with the reason logged.
 */
int live_run(const struct options *options, struct rules *rules, reload_load *load);

#endif
