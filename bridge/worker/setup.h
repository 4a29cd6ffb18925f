/*
 * What a worker has that hangs on the rules.
 */
#ifndef BRIDGE_SETUP_H
#define BRIDGE_SETUP_H

#include "events.h"
#include "fault.h"
#include "firewall.h"
#include "neigh.h"
#include "probes.h"
#include "../process/memory.h"
#include "../../lb/lb.h"

/* All that hangs on the rules, and is replaced by a reload. */
struct setup {
	const struct rules *rules;
	struct memory memory; /* of farms */
	struct farms *farms;
	struct neigh_table *neigh;
	struct probes *probes;
	struct events events;
	struct firewall *firewall;       /* or NULL: no filters */
	struct server_faults *faults;    /* by rules.servers[] */
	struct memory extras[LB_EXTRAS]; /* of lb, where these are the first rules that ask for it:
	                                    see worker_move() */
};

/*
 * Makes it for the worker of that share. rules must stay. Returns 0, or a negative errno with the
 * reason logged and nothing to free.
 */
int setup_init(struct setup *setup, const struct rules *rules, const struct share *share,
               const struct hash_key *key, lb_time now);
void setup_free(struct setup *setup);

#endif
