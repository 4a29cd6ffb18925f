/*
 * The numbers of the flows that are kept are in a heap: the least of them, which goes when a better
 * one is offered, is always known, so that a flow that isn't one of the best costs one comparison.
 */
#include "best.h"

#include "../process/least.h"

#include <stdlib.h>

struct best {
	unsigned n, max, taken;
	struct flow_view *all;
	struct least *least; /* their numbers, until they are put in order */
	unsigned *order;     /* in which they are taken */
};

struct best *best_new(unsigned max)
{
	struct best *best = calloc(1, sizeof(*best));

	if (!best)
		return NULL;
	*best = (struct best){.max = max,
	                      .all = calloc(max, sizeof(*best->all)),
	                      .least = least_new(max),
	                      .order = calloc(max, sizeof(*best->order))};
	if (best->all && best->least && best->order)
		return best;
	best_free(best);
	return NULL;
}

void best_free(struct best *best)
{
	if (!best)
		return;
	free(best->all);
	least_free(best->least);
	free(best->order);
	free(best);
}

bool best_floor(const struct best *best, uint64_t *ret)
{
	if (best->n < best->max)
		return false;
	*ret = least_number(best->least);
	return true;
}

void best_offer(struct best *best, uint64_t number, const struct flow_view *view)
{
	unsigned at = best->n;

	if (best->n < best->max)
		best->n++;
	else if (number > least_number(best->least))
		at = least_first(best->least);
	else
		return;
	best->all[at] = *view;
	least_set(best->least, at, number);
}

/* Fills order from its end: the least goes there, and out of the heap, until none is left. */
static void put_in_order(struct best *best)
{
	for (unsigned i = best->n; i > 0; i--) {
		best->order[i - 1] = least_first(best->least);
		least_set(best->least, best->order[i - 1], LEAST_NONE);
	}
}

const struct flow_view *best_take(struct best *best)
{
	if (!best->taken)
		put_in_order(best);
	return best->taken < best->n ? &best->all[best->order[best->taken++]] : NULL;
}
