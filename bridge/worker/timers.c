/*
 * A binary heap of all things, by when they are due; those that aren't are due never. So nothing is
 * ever put in or taken out, and what changes one thing's time moves it by O(log n).
 */
#include "timers.h"

#include <stdlib.h>

struct timers {
	uint32_t n;
	uint64_t *due;   /* by thing */
	uint32_t *place; /* by thing: where it stands in the heap */
	uint32_t *heap;  /* things; none comes before the one that stands at (its place - 1) / 2 */
};

/* Among those that are due at the same time the lower number comes first. */
static bool comes_before(const struct timers *timers, uint32_t a, uint32_t b)
{
	return timers->due[a] != timers->due[b] ? timers->due[a] < timers->due[b] : a < b;
}

struct timers *timers_new(uint32_t n)
{
	struct timers *timers = calloc(1, sizeof(*timers));

	if (!timers)
		return NULL;
	timers->n = n;
	timers->due = calloc(n + 1u, sizeof(*timers->due));
	timers->place = calloc(n + 1u, sizeof(*timers->place));
	timers->heap = calloc(n + 1u, sizeof(*timers->heap));
	if (!timers->due || !timers->place || !timers->heap) {
		timers_free(timers);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		timers->due[i] = UINT64_MAX;
		timers->place[i] = timers->heap[i] = i;
	}
	return timers;
}

void timers_free(struct timers *timers)
{
	if (!timers)
		return;
	free(timers->due);
	free(timers->place);
	free(timers->heap);
	free(timers);
}

static void put(struct timers *timers, uint32_t place, uint32_t thing)
{
	timers->heap[place] = thing;
	timers->place[thing] = place;
}

static void rise(struct timers *timers, uint32_t thing)
{
	uint32_t place = timers->place[thing];

	while (place > 0) {
		uint32_t above = timers->heap[(place - 1) / 2];

		if (!comes_before(timers, thing, above))
			break;
		put(timers, place, above);
		place = (place - 1) / 2;
	}
	put(timers, place, thing);
}

static void sink(struct timers *timers, uint32_t thing)
{
	uint32_t place = timers->place[thing];

	for (uint32_t below = 2 * place + 1; below < timers->n; below = 2 * place + 1) {
		if (below + 1 < timers->n &&
		    comes_before(timers, timers->heap[below + 1], timers->heap[below]))
			below++;
		if (!comes_before(timers, timers->heap[below], thing))
			break;
		put(timers, place, timers->heap[below]);
		place = below;
	}
	put(timers, place, thing);
}

void timers_set(struct timers *timers, uint32_t thing, lb_time due)
{
	bool sooner = due.ns < timers->due[thing];

	timers->due[thing] = due.ns;
	if (sooner)
		rise(timers, thing);
	else
		sink(timers, thing);
}

void timers_note(struct timers *timers, uint32_t thing, lb_time due)
{
	timers->due[thing] = due.ns;
}

void timers_order(struct timers *timers)
{
	for (uint32_t place = timers->n / 2; place > 0; place--)
		sink(timers, timers->heap[place - 1]);
}

lb_time timers_due(const struct timers *timers)
{
	return timers->n ? (lb_time){timers->due[timers->heap[0]]} : TIMERS_NEVER;
}

uint32_t timers_first(const struct timers *timers)
{
	return timers->heap[0];
}
