/*
 * The way of a burst through one worker.
 */
#ifndef BRIDGE_BURST_H
#define BRIDGE_BURST_H

#include "worker.h"

/* Decides upon n frames, up to PORT_BURST, and sends what comes of them before it returns. */
void burst_decide(struct worker *worker, struct frame *frames, unsigned n, lb_time now);

/* Takes what other workers have put into this one's inbox, and deals with it: once in each round of
 * a loop. False if there was nothing. */
bool burst_take_inbox(struct worker *worker, lb_time now);

/* The same of news only, not of frames: news refer to the rules, and so are taken before these
 * change. */
void burst_take_news(struct worker *worker, lb_time now);

#endif
