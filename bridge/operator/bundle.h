/*
 * What a replay begins with: the rules, the key, where the servers are and what is known of them,
 * and the flows, as they are when a capture begins.
 */
#ifndef BRIDGE_BUNDLE_H
#define BRIDGE_BUNDLE_H

#include "world.h"

struct bundle;

/* With room for the flows that there are now. Returns 0 and sets *ret, or -ENOMEM, or -ETIMEDOUT if
 * a worker doesn't move. */
int bundle_new(struct crew *crew, struct bundle **ret);
void bundle_free(struct bundle *bundle);

/* By the worker: copies its flows, which takes about 100 ns for each. */
void bundle_take(struct bundle *bundle, const struct worker *worker);

/*
 * All of it as lines of an answer, {"bundle":"LINE"} after {"capture":true}, for the caller to
 * free; NULL if memory runs out. offset: ns by which the time of day is ahead of the workers'
 * clock, the same as for the capture's records. bridge/recall.c reads these lines.
 */
char *bundle_text(const struct bundle *bundle, const struct world *world, uint64_t offset);

#endif
