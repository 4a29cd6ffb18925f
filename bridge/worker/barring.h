/*
 * SYNs that a program drops before a worker's sockets, as its engine would have: lb/barred.h.
 */
#ifndef BRIDGE_BARRING_H
#define BRIDGE_BARRING_H

#include "worker.h"

/*
 * Lets the program drop nothing while somebody watches the worker's frames, or the process has
 * filters that must see them first; or lets it drop again. To be called when either may have begun
 * or ended.
 */
void barring_rest(struct worker *worker);

/* Counts what the program has dropped since the last call as dropped by the worker. To be called
 * now and then, and at the end. */
void barring_count(struct worker *worker, lb_time now);

#endif
