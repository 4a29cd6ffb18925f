/*
 * Where the servers are: side, VLAN tags and MAC address, by ARP or neighbour discovery.
 */
#ifndef BRIDGE_NEIGH_H
#define BRIDGE_NEIGH_H

#include "../../lb/lb.h"
#include "../../lb/rules.h"

struct neigh_table;

struct neigh_counts {
	uint64_t waited;   /* frames that had to wait for an answer */
	uint64_t lost;     /* frames for which none came, or that found no place to wait */
	uint64_t moves;    /* of servers to another place */
	uint64_t attempts; /* claims that a server is elsewhere, while it answered where it was */
};

/*
 * Returns NULL if memory runs out. rules must stay. The first worker's table leads: it asks for all
 * servers at once, and decides whether one has moved; the others' follow what neigh_placed() tells
 * them.
 */
struct neigh_table *neigh_new(const struct rules *rules, bool leads);
void neigh_free(struct neigh_table *table);

/*
 * Where the server is, for a frame that goes there; NULL if that isn't known: then give the frame
 * to neigh_wait(). The result is valid until the next call for table. If the server hasn't been
 * heard of for long, has it asked again; its last known place serves meanwhile.
 */
const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now);

/* The same for who has no frame to send: asks nobody. */
const struct hop *neigh_known(const struct neigh_table *table, unsigned server);

/* If the server has answered at its known place when it was asked there last; else it is lost. */
bool neigh_is_there(const struct neigh_table *table, unsigned server);

/* Has the server asked if it is still there, as it hasn't answered something else. */
void neigh_doubt(struct neigh_table *table, unsigned server, lb_time now);

/* Notes a place that another process knew of the server: it serves until the server has been asked
 * itself. */
void neigh_recall(struct neigh_table *table, unsigned server, const struct hop *hop);

/*
 * Finds out which servers of old have the same addresses, while the worker goes on with that; and
 * takes over what old, the one traced, knows of them then.
 */
void neigh_trace(struct neigh_table *table, const struct neigh_table *old);
void neigh_inherit(struct neigh_table *table, const struct neigh_table *old);

/*
 * Keeps a copy of frame, with its checksum completed, until the server is found; counts it lost if
 * there is no place.
 */
void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame);

/* Notes where a server is, as it says by ARP or neighbour discovery. False if the sighting is of no
 * server. */
bool neigh_sighted(struct neigh_table *table, const struct sighting *sighting, lb_time now);

/* Notes where a server is by the leading table, which has decided that. */
void neigh_placed(struct neigh_table *table, const struct sighting *place, lb_time now);

/*
 * Takes the next server whose place has become known or has changed; false if there is none. Frames
 * that waited for it are ready (neigh_next_ready()).
 */
bool neigh_next_found(struct neigh_table *table, unsigned *ret);

/* Where the leading table has this server, whose place is known, to be: for neigh_placed(). */
struct sighting neigh_place(const struct neigh_table *table, unsigned server);

/*
 * Takes out a frame that waited and whose server has been found since: false if there is none. ret
 * is valid until the next neigh_wait().
 */
bool neigh_next_ready(struct neigh_table *table, struct frame *ret, const struct hop **ret_hop);

/* A request that ought to be sent now: ARP or, if the addresses are names, neighbour discovery. */
struct neigh_question {
	be32 sender, target;
	uint16_t vlan;
	unsigned sides; /* to everybody on these (1 << side); or */
	bool is_direct; /* only to this one: */
	struct hop to;
};

/* Takes the next request to be sent, and counts it as sent; false if none is due. Drops frames that
 * have waited in vain. */
bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret);

/* When neigh_next_question() will have one. */
lb_time neigh_due(const struct neigh_table *table);

/* What has become of a claim that a server is elsewhere. */
struct neigh_event {
	uint16_t server;
	bool moved;          /* else it has answered where it was */
	struct hop from, to; /* where it was, and where it is said to be */
};

/* Takes the next event out; a few of the last ones are kept. False if there is none. */
bool neigh_next_event(struct neigh_table *table, struct neigh_event *ret);

const struct neigh_counts *neigh_counts(const struct neigh_table *table);

#endif
