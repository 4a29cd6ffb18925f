/*
 * One engine between two ports: what happens to each burst and at each tick.
 */
#ifndef BRIDGE_WORKER_H
#define BRIDGE_WORKER_H

#include "connlog.h"
#include "events.h"
#include "memory.h"
#include "neigh.h"
#include "own.h"
#include "port.h"
#include "probe.h"
#include "../lb/lb.h"

/* All that hangs on the rules, and is replaced by a reload. */
struct setup {
	struct rules *rules;
	struct memory memory; /* of farms */
	struct farms *farms;
	struct neigh_table *neigh;
	struct probes *probes;
	struct events events;
};

struct worker {
	struct port *ports[NSIDES]; /* by enum side */
	struct hash_key key;
	struct memory memory;     /* of lb */
	struct memory ip6_memory; /* of lb, besides, if there are IPv6 farms */
	struct lb *lb;
	struct own_maker *maker;
	struct setup setup;
	struct connlog *connlog;
	bool live;          /* the connection log has a writer thread */
	bool more;          /* lb_poll() has more to do at once */
	uint64_t conflicts; /* frames in which somebody claimed an address of ours */
};

/*
 * Takes all memory. The ports must stay; rules belong to the worker if it succeeds. Returns 0, or a
 * negative errno with the reason logged; then there is nothing to free.
 */
int worker_init(struct worker *worker, struct rules *rules, const struct hash_key *key,
                struct port *const ports[NSIDES], bool live, lb_time now);
void worker_free(struct worker *worker);

/* Announces our addresses on both sides, asks for the servers, and sends the first probes. */
void worker_start(struct worker *worker, lb_time now);

/* Decides upon n frames, up to PORT_BURST, and sends what comes of them before it returns. */
void worker_burst(struct worker *worker, struct frame *frames, unsigned n, lb_time now);

/* Does what time asks for: expiry, resets, probes, the search for neighbours. */
void worker_tick(struct worker *worker, lb_time now);

/* When worker_tick() has something to do other than expiry, which it is due for each few ms. */
lb_time worker_due(const struct worker *worker);

/*
 * Goes over to rules, which belong to the worker if it succeeds, without losing a frame or a flow.
 * Returns 0, or a negative errno with the reason logged and nothing changed.
 */
int worker_reload(struct worker *worker, struct rules *rules, lb_time now);

#endif
