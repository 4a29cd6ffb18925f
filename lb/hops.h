/*
 * Where clients are answered, at layer 2. Most clients are behind a few neighbours, such as the
 * router: each of these is kept here once, and a flow names its client's by 16 bits, so that a
 * packet needs no more of its flow than one cache line. A place is given back by as many as have
 * taken it.
 *
 * A place is found by its origin: the hop that the packets come from or, of a neighbour whose
 * address is known (segment.h), its identity. Its hop is where that is answered, and mostly the
 * same; when a neighbour moves, changing it moves all who have the place.
 *
 * A hop can only stand in the few places that its hash names, so that finding it takes bounded time
 * even if somebody on the segment invents hops. A flow whose hop finds no room keeps it itself,
 * which costs its own packets another cache line, and nobody else's.
 *
 * Who reads a place beside the engine may do so late: so one that is free is given to another hop
 * only HOPS_REST after.
 */
#ifndef LB_HOPS_H
#define LB_HOPS_H

#include "arena.h"
#include "both.h"
#include "frame.h"

enum {
	HOPS_OWN = 0,     /* no place: the flow keeps it itself */
	HOPS_NOWHERE = 1, /* the place of the hop that is all zeros: of flows whose isn't known */
	HOPS_WAYS = 8,
	HOPS_PLACES_MIN = 8 * HOPS_WAYS,
	HOPS_PLACES_MAX = UINT16_MAX + 1, /* named by 16 bits */
	HOPS_REST = 20,                   /* ticks (flow.h): 2 s */
	HOPS_TRIES = 1024,
};

struct hops_place {
	struct hop hop; /* where to answer */
	uint8_t unused;
	uint32_t users; /* of HOPS_OWN: flows that keep their hop themselves */
};

static_assert(sizeof(struct hops_place) == 16, "a lookup is a shift");

struct hops {
	struct hops_place *places;
	struct hop *origins; /* by place, as are: */
	uint32_t *rests;     /* the tick up to which it rests, once it has no users */
	uint32_t nplaces;
};

/* The first 8 bytes and the last 4 of a hop, which are all, to be compared by. */
static inline uint64_t hop_head(const struct hop *hop)
{
	return word64_load(hop);
}

static inline uint32_t hop_tail(const struct hop *hop)
{
	return word32_load((const uint8_t *)hop + sizeof(*hop) - sizeof(uint32_t));
}

static inline bool hop_eq(const struct hop *a, const struct hop *b)
{
	return hop_head(a) == hop_head(b) && hop_tail(a) == hop_tail(b);
}

/* Writes it where others read it as hop_load() does: to is aligned to, and has room for, 12 bytes
 * in words. */
void hop_store(void *to, const struct hop *hop);

static inline struct hop hop_load(const void *from)
{
	const uint32_t *words = from;
	const uint32_t copy[3] = {BOTH_READ(words[0]), BOTH_READ(words[1]), BOTH_READ(words[2])};
	struct hop hop;

	memcpy(&hop, copy, sizeof(hop));
	return hop;
}

/* Takes an empty table from arena: four places for each of the flows, or HOPS_PLACES_MAX. */
void hops_lay_out(struct hops *hops, struct arena *arena, uint32_t flows);

/* Takes the place of this origin, to be answered at hop from now on; HOPS_OWN if there is no room
 * at tick now. */
uint16_t hops_take(struct hops *hops, const struct hop *origin, const struct hop *hop,
                   uint32_t now);

/*
 * Takes a place for a hop that its flow can't keep itself any more; in whichever set there is one,
 * as nobody else is to find it, so that no neighbour moves it: HOPS_NOWHERE if none of HOPS_TRIES
 * is free.
 */
uint16_t hops_take_anywhere(struct hops *hops, const struct hop *hop, uint32_t now);

/* The place of this origin if it has users, else HOPS_OWN. */
uint16_t hops_find(const struct hops *hops, const struct hop *origin);

/* Changes where all flows that have the place are answered. */
static inline void hops_answer(struct hops *hops, uint16_t place, const struct hop *hop)
{
	if (!hop_eq(&hops->places[place].hop, hop))
		hop_store(&hops->places[place], hop);
}

/* Counts one more user of the place. */
static inline void hops_take_place(struct hops *hops, uint16_t place)
{
	hops->places[place].users++;
}

/* After places were taken over from another process's table: marks all as unused and resting. */
void hops_adopt(struct hops *hops, uint32_t now);

/* Counts one user less, at tick now. */
void hops_give_back(struct hops *hops, uint16_t place, uint32_t now);

#endif
