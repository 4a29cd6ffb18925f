/*
 * Those flows that come first when they are sorted, of all that are offered.
 */
#ifndef BRIDGE_BEST_H
#define BRIDGE_BEST_H

#include "filter.h"

#include "../process/quantity.h"

enum { BEST_MAX = QUANTITY_SORTED_MAX }; /* that are kept */

struct best;

/* Keeps max of them, 1 to BEST_MAX, of the largest numbers. NULL if memory runs out. */
struct best *best_new(unsigned max);
void best_free(struct best *best); /* may be NULL */

/* Sets *ret to the number that a flow must be above to be kept; false if there is still room for
 * any. */
bool best_floor(const struct best *best, uint64_t *ret);

/* Keeps a copy of one with this number, below LEAST_NONE, if it is one of the best so far. */
void best_offer(struct best *best, uint64_t number, const struct flow_view *view);

/* Takes the next one out, the largest first, after the last was offered; NULL: there is none. It
 * stays until best_free(). */
const struct flow_view *best_take(struct best *best);

#endif
