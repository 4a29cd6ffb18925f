/*
 * A binary heap of all things, by their numbers. Those without one stand in it as well, behind the
 * others: so nothing is ever put in or taken out, and what changes one thing's number moves it by
 * O(log n).
 *
 * The heap of a farm's servers is another one, for the reasons that lb/heap.c says.
 */
#include "least.h"

#include <stdbool.h>
#include <stdlib.h>

struct least {
	uint32_t n;
	uint64_t *number; /* by thing */
	uint32_t *place;  /* by thing: where it stands in the heap */
	uint32_t *heap;   /* things; none comes before the one that stands at (its place - 1) / 2 */
};

/* Of those with the same number the lower thing comes first. */
static bool comes_before(const struct least *least, uint32_t a, uint32_t b)
{
	return least->number[a] != least->number[b] ? least->number[a] < least->number[b] : a < b;
}

struct least *least_new(uint32_t n)
{
	struct least *least = calloc(1, sizeof(*least));

	if (!least)
		return NULL;
	least->n = n;
	least->number = calloc(n + 1u, sizeof(*least->number));
	least->place = calloc(n + 1u, sizeof(*least->place));
	least->heap = calloc(n + 1u, sizeof(*least->heap));
	if (!least->number || !least->place || !least->heap) {
		least_free(least);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		least->number[i] = LEAST_NONE;
		least->place[i] = least->heap[i] = i;
	}
	return least;
}

void least_free(struct least *least)
{
	if (!least)
		return;
	free(least->number);
	free(least->place);
	free(least->heap);
	free(least);
}

static void put(struct least *least, uint32_t place, uint32_t thing)
{
	least->heap[place] = thing;
	least->place[thing] = place;
}

static void rise(struct least *least, uint32_t thing)
{
	uint32_t place = least->place[thing];

	while (place > 0) {
		uint32_t above = least->heap[(place - 1) / 2];

		if (!comes_before(least, thing, above))
			break;
		put(least, place, above);
		place = (place - 1) / 2;
	}
	put(least, place, thing);
}

static void sink(struct least *least, uint32_t thing)
{
	uint32_t place = least->place[thing];

	for (uint32_t below = 2 * place + 1; below < least->n; below = 2 * place + 1) {
		if (below + 1 < least->n &&
		    comes_before(least, least->heap[below + 1], least->heap[below]))
			below++;
		if (!comes_before(least, least->heap[below], thing))
			break;
		put(least, place, least->heap[below]);
		place = below;
	}
	put(least, place, thing);
}

void least_set(struct least *least, uint32_t thing, uint64_t number)
{
	bool less = number < least->number[thing];

	least->number[thing] = number;
	if (less)
		rise(least, thing);
	else
		sink(least, thing);
}

void least_note(struct least *least, uint32_t thing, uint64_t number)
{
	least->number[thing] = number;
}

void least_order(struct least *least)
{
	for (uint32_t place = least->n / 2; place > 0; place--)
		sink(least, least->heap[place - 1]);
}

uint64_t least_number(const struct least *least)
{
	return least->n ? least->number[least->heap[0]] : LEAST_NONE;
}

uint32_t least_first(const struct least *least)
{
	return least->heap[0];
}
