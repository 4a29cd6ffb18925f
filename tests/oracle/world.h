/*
 * A random configuration, and an engine and a model that have it.
 */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include "model.h"

enum { WORLD_CLIENTS = 6, WORLD_OWNS = 4096, WORLD_VLAN = 5 /* and the next */ };

struct world {
	struct rules *rules;
	struct rules *file;      /* of which rules are a part: of all servers and services */
	bool out[MODEL_SERVERS]; /* servers that are not in the file now */
	unsigned nports[MODEL_FARMS];
	void *mem, *farms_mem, *extra_mem[LB_EXTRAS];
	struct lb *lb;
	struct model model;
	lb_time now;
	/* what the last poll asked to be sent */
	struct own owns[WORLD_OWNS];
	unsigned nowns;
};

/* Few addresses and ports, so that everything collides: by random_next(). */
void world_begin(struct world *world);
void world_end(struct world *world);

/* Other rules, of the same farms. */
void world_reload(struct world *world);

/* Lets lb_poll() do all that it wants to. */
void world_poll(struct world *world);

/* Tells the engine that all servers are inside. */
void world_place_servers(struct world *world);
/* Gives the engine what it needs besides for these rules, which it is to get next. */
void world_use_extras(struct world *world, const struct rules *rules);

/* To be called by world_begin(). */
void world_begin_reloads(struct world *world);

/* The address of a client of the farm, that may be one of its servers. */
struct addr world_client(const struct world *world, unsigned farm, unsigned client);

struct mac world_mac(enum side side);

#endif
