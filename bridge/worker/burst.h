/*
 * The way of a burst through one worker.
 */
#ifndef BRIDGE_BURST_H
#define BRIDGE_BURST_H

#include "worker.h"

/* Decides upon n frames, up to PORT_BURST, and sends what comes of them before it returns. */
void burst_decide(struct worker *worker, struct frame *frames, unsigned n, lb_time now);

/* Takes what other workers have sent: for each round of a loop. False if there was nothing. */
bool burst_take_inbox(struct worker *worker, lb_time now);

/* The part of it that isn't frames, and refers to the rules. */
void burst_take_news(struct worker *worker, lb_time now);

#endif
