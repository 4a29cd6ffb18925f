/*
 * The health checks of one worker: probes sent, and what their results say.
 */
#ifndef BRIDGE_CHECKS_H
#define BRIDGE_CHECKS_H

#include "worker.h"

/* Sends the probes that are due, and takes what has come of those that were sent. */
void checks_poll(struct worker *worker, lb_time now);

/* Gives a probe what a server has sent to it: reply is what the engine saw in frame. */
void checks_reply(struct worker *worker, const struct probe_reply *reply, const struct frame *frame,
                  lb_time now);

/* Has the first worker probe servers at once that don't answer clients (lb/observe.h). */
void checks_suspects(struct worker *worker, lb_time now);

#endif
