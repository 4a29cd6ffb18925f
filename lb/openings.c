/*
 * The places of half-open flows. They are few and stand close together, so that connections that
 * begin and open find them in the cache.
 */
#include "openings.h"

static_assert(FLOW_NONE & FLOW_HEAD, "either is the end of a queue");

static void vacate(struct openings *openings, uint32_t at)
{
	openings->at[at].flow = FLOW_NONE;
	openings->at[at].in[FLOW_BY_STATE].next = openings->vacant;
	openings->vacant = at;
}

void openings_lay_out(struct openings *openings, struct arena *arena, uint32_t n)
{
	*openings = (struct openings){.list = {FLOW_NONE, FLOW_NONE, 0}, .vacant = FLOW_NONE};
	openings->at = arena_take(arena, n, sizeof(*openings->at));
	openings->queues = (struct queues){openings->at, sizeof(*openings->at), NULL};
	if (!openings->at)
		return;
	memset(openings->at, 0, n * sizeof(*openings->at));
	while (n > 0)
		vacate(openings, --n);
}

uint32_t openings_take(struct openings *openings, uint32_t flow)
{
	const uint32_t at = openings->vacant;

	openings->vacant = openings->at[at].in[FLOW_BY_STATE].next;
	openings->at[at].flow = flow;
	queues_append(&openings->queues, &openings->list, at);
	openings_stand_apart(openings, at);
	return at;
}

void openings_leave(struct openings *openings, uint32_t at)
{
	queues_leave(&openings->queues, at, FLOW_BY_POOL);
	queues_leave(&openings->queues, at, FLOW_BY_SERVER);
	queues_remove(&openings->queues, &openings->list, at);
	vacate(openings, at);
}
