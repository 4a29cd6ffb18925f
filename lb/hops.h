/*
 * Where clients come from, at layer 2: few neighbours, the router among them, that most are behind.
 * They are kept here once and a flow names its client's by a byte, so that a packet needs no more
 * of its flow than one cache line. A place is given back by as many as have taken it.
 *
 * A hop is only kept in the few places that its hash says, so that it is found at once, whoever on
 * the segment makes hops up. A flow whose hop finds no room keeps it itself; while there is such a
 * flow, the second line of each is fetched as well.
 */
#ifndef LB_HOPS_H
#define LB_HOPS_H

#include "frame.h"

enum {
	HOPS_OWN = 0, /* no place */
	HOPS_WAYS = 8,
	HOPS_SETS = 32,
	HOPS_PLACES = HOPS_SETS * HOPS_WAYS, /* named by a byte */
};

struct hops_place {
	struct hop hop;
	uint32_t users; /* 0: free. Of HOPS_OWN: who keep theirs themselves. */
};

struct hops {
	struct hops_place places[HOPS_PLACES];
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

/* The place where hop stands, HOPS_OWN if there is no room. */
uint8_t hops_take(struct hops *hops, const struct hop *hop);

void hops_give_back(struct hops *hops, uint8_t place);

#endif
