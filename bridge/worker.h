/*
 * One engine between two ports: what happens to each burst and at each tick.
 */
#ifndef BRIDGE_WORKER_H
#define BRIDGE_WORKER_H

#include "../lb/lb.h"
#include "neigh.h"
#include "own.h"
#include "port.h"

struct worker {
	const struct rules *rules;
	struct port *ports[NSIDES];	/* by enum side */
	struct lb *lb;
	struct own_maker *maker;
	struct neigh_table *neigh;
	uint64_t conflicts;		/* ARP frames in which somebody claimed an address of ours */
	lb_time conflict_logged;
	void *memory;			/* lb's */
	size_t memory_bytes;
};

/*
 * Takes all memory. rules and ports must stay. Returns 0, or a negative errno with the reason
 * logged; then there is nothing to free.
 */
int worker_init(struct worker *worker, const struct rules *rules, const struct hash_key *key,
		struct port *outside, struct port *inside, lb_time now);
void worker_free(struct worker *worker);

/* Announces our addresses on both sides and asks for the servers. */
void worker_start(struct worker *worker, lb_time now);

/* Decides upon n frames, up to PORT_BURST, and sends what comes of them before it returns. */
void worker_burst(struct worker *worker, struct frame *frames, unsigned n, lb_time now);

/* Does what time asks for: expiry, ARP. */
void worker_tick(struct worker *worker, lb_time now);

#endif
