/*
 * Half-open flows: what only they need, in places of their own, as many as there may be. Their
 * queues are of these places.
 */
#ifndef LB_OPENINGS_H
#define LB_OPENINGS_H

#include "arena.h"
#include "queues.h"

struct opening {
	struct flow_link in[FLOW_QUEUES];
	uint32_t flow; /* FLOW_NONE: vacant */
	uint32_t unused;
};

static_assert(sizeof(struct opening) == 32, "half a cache line");

struct openings {
	struct opening *at;
	struct queues queues;  /* of these */
	struct flow_list list; /* those that flows have, oldest first */
	uint32_t vacant;       /* the others, the one that was left last first */
};

void openings_lay_out(struct openings *openings, struct arena *arena, uint32_t n);

/* Takes a place for the flow. There must be one: the caller has an older flow make way where none
 * is vacant. */
uint32_t openings_take(struct openings *openings, uint32_t flow);

/* Gives the place back, and takes it out of its queues. */
void openings_leave(struct openings *openings, uint32_t at);

/* Marks the place as standing in no queue of a head. */
static inline void openings_stand_apart(struct openings *openings, uint32_t at)
{
	queues_stand_apart(&openings->queues, at, FLOW_BY_POOL);
	queues_stand_apart(&openings->queues, at, FLOW_BY_SERVER);
}

static inline void openings_prefetch(const struct openings *openings, uint32_t at)
{
	if (at != FLOW_NONE)
		__builtin_prefetch(&openings->at[at], 1);
}

/* The flow whose place it is; FLOW_NONE if at is the end of a queue. */
static inline uint32_t openings_flow(const struct openings *openings, uint32_t at)
{
	return at & FLOW_HEAD ? FLOW_NONE : openings->at[at].flow;
}

#endif
