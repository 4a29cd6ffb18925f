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
 * Where the server is, or NULL if that isn't known: then give the frame to neigh_wait(). The result
 * lives until the next call for table. A server that hasn't been heard of for long will be asked
 * again, and its last known place serves meanwhile.
 */
const struct hop *neigh_find(struct neigh_table *table, unsigned server, lb_time now);

/* The same, or NULL, without using it. */
const struct hop *neigh_known(const struct neigh_table *table, unsigned server);

/* If the server is where it is known to be, as far as it has been asked; else it is lost. */
bool neigh_is_there(const struct neigh_table *table, unsigned server);

/* The server ought to have answered and hasn't: sees to it that it is asked if it is still there.
 */
void neigh_doubt(struct neigh_table *table, unsigned server, lb_time now);

/* Another process knew the server to be there: that serves until it has been asked itself. */
void neigh_recall(struct neigh_table *table, unsigned server, const struct hop *hop);

/* Takes over what old knows of the servers of the same addresses. */
void neigh_inherit(struct neigh_table *table, const struct neigh_table *old);

/*
 * Keeps a copy of frame, with its checksum completed, until the server is found; counts it lost if
 * there is no place.
 */
void neigh_wait(struct neigh_table *table, unsigned server, const struct frame *frame);

/* Notes what such a frame said; says if it was about one of the servers. */
bool neigh_sighted(struct neigh_table *table, const struct sighting *sighting, lb_time now);

/* Notes where the leading table has a server to be. */
void neigh_placed(struct neigh_table *table, const struct sighting *place, lb_time now);

/*
 * A server whose place has become known, or another one, in its turn: false if there is none. What
 * waits for it is ready.
 */
bool neigh_next_found(struct neigh_table *table, unsigned *ret);

/* Where the leading table has this server, whose place is known, to be: for neigh_placed(). */
struct sighting neigh_place(const struct neigh_table *table, unsigned server);

/*
 * A frame that waited and whose server has been found since: false if there is none. ret lives
 * until the next neigh_wait().
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

/* The next one; false if none is due. Gives up on frames that have waited in vain. */
bool neigh_next_question(struct neigh_table *table, lb_time now, struct neigh_question *ret);

/* When there will be one. */
lb_time neigh_due(const struct neigh_table *table);

/* What has become of a claim that a server is elsewhere. */
struct neigh_event {
	uint16_t server;
	bool moved;          /* else it has answered where it was */
	struct hop from, to; /* where it was, and where it is said to be */
};

/* The next one, of the last few; false if there is none. */
bool neigh_next_event(struct neigh_table *table, struct neigh_event *ret);

const struct neigh_counts *neigh_counts(const struct neigh_table *table);

#endif
