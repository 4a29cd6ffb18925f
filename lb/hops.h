/*
 * Where clients come from, at layer 2: few neighbours, the router among them, that most are behind.
 * They are kept here once and a flow names its client's by a byte, so that a packet needs no more
 * of its flow than one cache line. A place is given back by as many as have taken it.
 *
 * A hop is only kept in the few places that its hash says, so that whoever makes hops up, a host of
 * the same segment, costs no time. Whose finds no room keeps it itself.
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
	uint64_t head;

	memcpy(&head, hop, sizeof(head));
	return head;
}

static inline uint32_t hop_tail(const struct hop *hop)
{
	uint32_t tail;

	memcpy(&tail, (const uint8_t *)hop + sizeof(*hop) - sizeof(tail), sizeof(tail));
	return tail;
}

static inline bool hop_eq(const struct hop *a, const struct hop *b)
{
	return hop_head(a) == hop_head(b) && hop_tail(a) == hop_tail(b);
}

/* The place where hop stands, HOPS_OWN if there is no room. */
uint8_t hops_take(struct hops *hops, const struct hop *hop);

void hops_give_back(struct hops *hops, uint8_t place);

#endif
