/*
 * What time asks of a worker.
 */
#ifndef BRIDGE_DUTIES_H
#define BRIDGE_DUTIES_H

#include "worker.h"

/* Announces our addresses on both sides, asks for the servers, and sends the first probes. */
void duties_start(struct worker *worker, lb_time now);

/* Does what time asks for: expiry, resets, probes, the search for neighbours. */
void duties_tick(struct worker *worker, lb_time now);

/* When duties_tick() has something to do other than expiry, which it is due for each few ms. */
lb_time duties_due(const struct worker *worker);

/* Ends a flow, with a reset to both of its ends: false if it isn't live. */
bool duties_end_flow(struct worker *worker, uint32_t flow, lb_time now);

#endif
