/*
 * What a worker does when its time has come, whether frames come or not.
 */
#ifndef BRIDGE_DUTIES_H
#define BRIDGE_DUTIES_H

#include "worker.h"

/* Announces our addresses on both sides, asks for the servers, and sends the first probes. */
void duties_start(struct worker *worker, lb_time now);

/* Does what is due: expiry, resets, probes, requests for neighbours, announcements. */
void duties_tick(struct worker *worker, lb_time now);

/* When duties_tick() next has something to do besides expiry, for which it must be called every few
 * ms. */
lb_time duties_due(const struct worker *worker);

/* Ends a flow, with a reset to both of its ends: false if it isn't live. */
bool duties_end_flow(struct worker *worker, uint32_t flow, lb_time now);

#endif
