/*
 * A heap with the least of them on top, which is the first to go when a better one is offered: so
 * what a flow costs that isn't one of the best is a comparison.
 */
#include "best.h"

#include <stdlib.h>

struct one {
	uint64_t number;
	struct flow_view view;
};

struct best {
	unsigned n, max, taken;
	struct one *all;
	bool sorted;
};

struct best *best_new(unsigned max)
{
	struct best *best = calloc(1, sizeof(*best));

	if (!best)
		return NULL;
	*best = (struct best){.max = max, .all = calloc(max, sizeof(*best->all))};
	if (best->all)
		return best;
	free(best);
	return NULL;
}

void best_free(struct best *best)
{
	if (best)
		free(best->all);
	free(best);
}

bool best_floor(const struct best *best, uint64_t *ret)
{
	if (best->n < best->max)
		return false;
	*ret = best->all[0].number;
	return true;
}

static void exchange(struct best *best, unsigned i, unsigned j)
{
	const struct one one = best->all[i];

	best->all[i] = best->all[j];
	best->all[j] = one;
}

static void rise(struct best *best, unsigned i)
{
	for (unsigned above; i && best->all[i].number < best->all[above = (i - 1) / 2].number;
	     i = above)
		exchange(best, i, above);
}

/* Of the first n. */
static void sink(struct best *best, unsigned i, unsigned n)
{
	for (unsigned least = 2 * i + 1; least < n; i = least, least = 2 * i + 1) {
		if (least + 1 < n && best->all[least + 1].number < best->all[least].number)
			least++;
		if (best->all[i].number <= best->all[least].number)
			return;
		exchange(best, i, least);
	}
}

void best_offer(struct best *best, uint64_t number, const struct flow_view *view)
{
	if (best->n < best->max) {
		best->all[best->n] = (struct one){number, *view};
		rise(best, best->n++);
	} else if (number > best->all[0].number) {
		best->all[0] = (struct one){number, *view};
		sink(best, 0, best->n);
	}
}

/* The least goes behind what is left of the heap, again and again. */
static void sort(struct best *best)
{
	for (unsigned n = best->n; n > 1; n--) {
		exchange(best, 0, n - 1);
		sink(best, 0, n - 1);
	}
	best->sorted = true;
}

const struct flow_view *best_take(struct best *best)
{
	if (!best->sorted)
		sort(best);
	return best->taken < best->n ? &best->all[best->taken++].view : NULL;
}
