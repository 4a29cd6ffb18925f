/*
 * Where the servers are: side, VLAN tags and MAC address, by ARP or neighbour discovery.
 */
#ifndef BRIDGE_NEIGH_H
#define BRIDGE_NEIGH_H

#include "../../lb/lb.h"
#include "../../lb/rules.h"

struct neigh_table;

struct neigh_counts {
	uint64_t waited; /* frames that had to wait for an answer */
	uint64_t lost;   /* frames for which none came, or that found no place to wait */
};

/* Returns NULL if memory runs out. rules must stay. */
struct neigh_table *neigh_new(const struct rules *rules);
void neigh_free(struct neigh_table *table);

/*
 * Where the server is, or NULL if that isn't known: then give the frame to neigh_wait(). The result
 * lives until the next call for table. A server that hasn't been heard of for long will be asked
 * again, and its last known place serves meanwhile.
 */
const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now);

/* The same, or NULL, without using it. */
const struct hop *neigh_known(const struct neigh_table *table, unsigned server);

/* Sees to it that the server is asked for, whether or not it is known. */
void neigh_ask(struct neigh_table *table, unsigned server);

/* Takes over what old knows of the servers of the same addresses. */
void neigh_inherit(struct neigh_table *table, const struct neigh_table *old);

/*
 * Keeps a copy of frame, with its checksum completed, until the server is found; counts it lost if
 * there is no place.
 */
void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame);

/* Notes what such a frame said; says if it was about one of the servers. */
bool neigh_sighted(struct neigh_table *table, const struct sighting *sighting, lb_time now);

/*
 * A frame that waited and whose server has been found since: false if there is none. ret lives
 * until the next neigh_wait().
 */
bool neigh_next_ready(struct neigh_table *table, struct frame *ret, const struct hop **ret_hop);

/* A request that ought to be sent now: ARP or, if the addresses are names, neighbour discovery. */
struct neigh_question {
	be32 sender, target;
	uint16_t vlan;
	bool everywhere; /* on both sides, else inside only */
};

/* The next one; false if none is due. Gives up on frames that have waited in vain. */
bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret);

const struct neigh_counts *neigh_counts(const struct neigh_table *table);

#endif
