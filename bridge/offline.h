/*
 * Captures in, captures out.
 */
#ifndef BRIDGE_OFFLINE_H
#define BRIDGE_OFFLINE_H

#include "options.h"
#include "../lb/rules.h"

/*
 * Replays the captures that options names through an engine with these rules, which it frees.
 * Returns 0, or a negative errno with the reason logged. A damaged capture is read up to the
 * damage, which is no error.
 */
int offline_run(const struct options *options, struct rules *rules);

#endif
