/*
 * The servers as neighbours: who shares an address is one, and is found by it.
 */
#ifndef BRIDGE_NEIGHBOURS_H
#define BRIDGE_NEIGHBOURS_H

#include "../../lb/rules.h"
#include "../../lb/way.h"
#include "../process/least.h"

#define NEIGH_NONE UINT32_MAX

enum neigh_state {
	NEIGH_UNKNOWN,
	NEIGH_KNOWN,
	NEIGH_LOST, /* it doesn't answer at its last place */
};

enum neigh_search {
	SEARCH_NONE,
	SEARCH_DIRECT, /* the neighbour is asked at its place */
	SEARCH_ALL,    /* everybody is asked */
};

struct neighbour {
	be32 address;   /* of the next hop on the way there */
	uint16_t vlan;  /* rules_server_vlan() */
	uint8_t side;   /* way_home(): where tmbridge is no cable it is on that one only */
	uint8_t state;  /* enum neigh_state */
	uint8_t search; /* enum neigh_search */
	uint8_t tries;  /* requests sent in this search */
	bool fixed;     /* by lb.ini */
	bool claimed;   /* to be at other */
	bool is_found;  /* on the list of those that neigh_next_found() tells */
	struct hop hop, other;
	lb_time heard;   /* when it last said that it is at its known place */
	lb_time doubted; /* when it was last asked at its place */
	uint32_t server; /* the first of its servers */
	uint32_t asker; /* the first one whose farm has an address to ask from, which a farm that is
	                   gone has not; NEIGH_NONE: it can't be asked */
	uint32_t same;  /* the next neighbour of the same hash */
	uint32_t found; /* the next one on that list */
};

struct neighbours {
	const struct rules *rules;
	struct neighbour *items;
	uint32_t n;
	struct least *timers; /* by neighbour: when its next question is due, in ns */
	uint32_t *was; /* by neighbour: which one of neighbours_trace()'s it is, or NEIGH_NONE */
	uint32_t *of;  /* by rules.servers[]: its neighbour */
	/* by rules.servers[]: the next one of its neighbour, or NEIGH_NONE */
	uint32_t *next_server;
	uint32_t *hashed; /* the first neighbour of each hash, or NEIGH_NONE */
	uint32_t mask;
};

/*
 * Makes the neighbours of the servers of rules, which must stay. If they are to be asked for, a
 * search has begun for each that isn't fixed. False if memory runs out; neighbours_free() is due in
 * either case.
 */
bool neighbours_init(struct neighbours *all, const struct rules *rules, bool asks);
void neighbours_free(struct neighbours *all);

/*
 * Finds the neighbours of old that have the same addresses, while whoever uses old goes on. Takes
 * over what old, the one traced, knows of them then, with searches underway.
 */
void neighbours_trace(struct neighbours *all, const struct neighbours *old);
void neighbours_inherit(struct neighbours *all, const struct neighbours *old);

/* If the neighbour can be there at all, by the rules: in its VLAN and, where tmbridge is no cable,
 * on its side. */
bool neighbours_may_be_at(const struct neighbours *all, const struct neighbour *n,
                          const struct hop *hop);

/* Where the list of an address's neighbours, and of some others, begins. */
uint32_t *neighbours_place(const struct neighbours *all, be32 address);

static inline struct neighbour *neighbours_of(const struct neighbours *all, unsigned server)
{
	return &all->items[all->of[server]];
}

static inline uint32_t neighbours_number(const struct neighbours *all, const struct neighbour *n)
{
	return (uint32_t)(n - all->items);
}

#endif
