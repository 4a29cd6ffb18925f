/*
 * The heap of a farm's servers: by rank, and among equals by turn (sched.c says what these are).
 * bridge/process/least.c is another heap, by one number for each thing: lb/ takes nothing from
 * there, and what a server goes by stands with all else that its scheduler has of it.
 */
#include "heap.h"

#include "health.h"

static_assert(RULES_WEIGHT_MAX * HEALTH_RAMP_STEPS <= 1 << 16, "heap_rank()");

/*
 * Load by share in units of 2^-32: two that differ do so by 1 / (share * share) at least, so none
 * are taken for equal.
 */
uint64_t heap_rank(const struct heap *heap, const struct sched_server *server)
{
	if (heap_is_full(server))
		return server->half_open ? HEAP_RANK_LAST : HEAP_RANK_NEVER;
	return heap->by_load ? ((uint64_t)server->load << 32) / server->share : 0;
}

bool heap_is_before(const struct heap *heap, unsigned a, unsigned b)
{
	const struct sched_server *sa = &heap->servers[a], *sb = &heap->servers[b];

	if (sa->rank != sb->rank)
		return sa->rank < sb->rank;
	return sa->turn == sb->turn ? a < b : (int64_t)(sa->turn - sb->turn) < 0;
}

void heap_put(const struct heap *heap, unsigned place, uint16_t server)
{
	heap->at[place] = server;
	heap->servers[server].place = (uint16_t)place;
}

unsigned heap_rise(const struct heap *heap, unsigned place, uint16_t server)
{
	while (place > 0 && heap_is_before(heap, server, heap->at[(place - 1) / 2])) {
		heap_put(heap, place, heap->at[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	return place;
}

unsigned heap_sink(const struct heap *heap, unsigned place, uint16_t server)
{
	for (unsigned below = 2 * place + 1; below < heap->n; below = 2 * place + 1) {
		if (below + 1 < heap->n &&
		    heap_is_before(heap, heap->at[below + 1], heap->at[below]))
			below++;
		if (!heap_is_before(heap, heap->at[below], server))
			break;
		heap_put(heap, place, heap->at[below]);
		place = below;
	}
	return place;
}
