/*
 * What the kernel drops of a worker's, as its engine would have: lb/barred.h.
 */
#ifndef BRIDGE_BARRING_H
#define BRIDGE_BARRING_H

#include "worker.h"

/* Nothing is dropped there while somebody watches what comes, or the process's own filters are to
 * see it first: to be called when either may have begun or ended. */
void barring_rest(struct worker *worker);

/* Counts what has been dropped since the last call, as the worker's own: now and then, and at the
 * end. */
void barring_count(struct worker *worker, lb_time now);

#endif
