/*
 * SNAT ports: which address and port of ours a server sees as its peer.
 */
#ifndef LB_SNAT_H
#define LB_SNAT_H

#include "arena.h"
#include "blanks.h"
#include "tuple.h"

struct snat_key;

/* Which port of a pool is next: kept apart from the bitmaps, so that looking it up touches none of
 * them. */
struct snat_next {
	uint32_t last;  /* handed out last */
	uint32_t port;  /* the first free one after that, or POOL_PORTS */
	uint32_t taken; /* ports; read by others than the worker, too */
};

/* A farm's share: which pools it takes from, and how its addresses are used. */
struct snat_farm {
	uint32_t slot;    /* its first in snat.pool_of */
	uint32_t address; /* its first in snat.in_use */
	uint16_t ports;   /* the first farm with the same snat_ports */
};

struct snat {
	const struct rules *rules;
	struct snat_farm *farms;
	uint32_t *pool_of; /* by farm, server, SNAT address and service: slots */
	struct pool *pools;
	struct snat_next *next;      /* by pool */
	struct blanks blanks;        /* how pools begin */
	struct snat_key *keys;       /* by pool: what it is of */
	uint32_t *index, index_mask; /* pools by that, plus 1: open addressing */
	uint32_t *turns;             /* by rules.servers[]: the address index whose turn it is */
	uint32_t *in_use; /* ports taken, by farm and SNAT address; also read by others */
	uint32_t npools;  /* places for pools: one for each slot, which may share them */
};

/* A port that was handed out. */
struct snat_port {
	uint32_t pool;
	uint16_t address; /* rules_farm.snat[address] */
	be16 port;
};

/* How full a pool is (fill.c). */
struct snat_fill {
	uint32_t taken, room; /* ports: those that are, and those that may be */
	uint16_t server;      /* rules.servers[server] */
	uint16_t address;     /* rules_farm.snat[address] */
	be16 port;            /* of the server; 0: all of its ports */
};

/*
 * Takes the pools for rules from arena, with key to make where each begins unpredictable. Only
 * ports of this share are handed out.
 */
void snat_lay_out(struct snat *snat, struct arena *arena, const struct rules *rules,
                  const struct share *share, const struct hash_key *key);

/*
 * Takes a port for a new connection to service (an index of the farm's ports) of a server, from the
 * farm's addresses in turn; of a pool, the first free port after the last handed out. False if none
 * is free in any pool.
 */
bool snat_take(struct snat *snat, unsigned farm, unsigned server, unsigned service,
               struct snat_port *ret);

/* Sets *ret to what snat_take() would hand out; and *port, which is free, to what it would hand out
 * after that. False if there is none. */
bool snat_peek(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
               struct snat_port *ret);
bool snat_peek_after(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                     struct snat_port *port);

/*
 * The number of the i-th pool for service of a server, counted from the farm's address whose turn
 * it is. And sets *ret to the port of that number in that pool; false if it may not be handed out.
 */
uint32_t snat_pool(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                   unsigned i);
bool snat_port_of(const struct snat *snat, unsigned farm, unsigned server, unsigned service,
                  unsigned i, be16 port, struct snat_port *ret);

/* If that port is free; takes it out of its turn; and takes it as if it had been its turn, so that
 * those after it are handed out next. */
bool snat_is_free(const struct snat *snat, struct snat_port port);
void snat_take_port(struct snat *snat, unsigned farm, unsigned server, struct snat_port port);
void snat_take_next(struct snat *snat, unsigned farm, unsigned server, struct snat_port port);

/*
 * The pool and address index of a port in use, from what its flow remembers. False if there is no
 * such pool (any more): the farm has no such SNAT address.
 */
bool snat_locate(const struct snat *snat, unsigned server, unsigned service, be32 address,
                 be16 port, struct snat_port *ret);

/* If the present rules let this port be handed out, which may not be so if it was taken before a
 * reload. */
bool snat_allows(const struct snat *snat, unsigned farm, struct snat_port port);

/* Marks a port as taken that was taken under other rules. */
void snat_keep(struct snat *snat, unsigned farm, struct snat_port port);

/* Gives back a port that snat_take() handed out, or snat_keep() took. */
void snat_give_back(struct snat *snat, unsigned farm, struct snat_port port);

/* If the farm has one pool for all ports of a server, and not one for each
 * (RULES_POOLED_PORTS_MAX). And the number of the pool for a service. */
bool snat_has_one_pool(const struct rules_farm *farm);
uint32_t snat_pool_of(const struct snat *snat, unsigned server, unsigned address, unsigned service);

/*
 * How far a server's ports have been handed out, which a replay goes on with: the index of the
 * farm's address whose turn it is, and of each of the server's pools, by address and service, the
 * last port. How many pools these are by the rules; the last one of pool i of them; and has it go
 * on behind last[], of as many. An address that the farm doesn't have is none's turn, and changes
 * nothing.
 */
unsigned snat_pools_of(const struct rules *rules, unsigned server);
uint16_t snat_last(const struct snat *snat, unsigned server, unsigned i);
void snat_recall(struct snat *snat, unsigned server, uint32_t address, const uint16_t *last);

/*
 * Sets *fullest to the farm's fullest pool, if that is fuller than what *fullest says, which begins
 * with room 1 and taken 0. Another thread may call it, while the rules stay.
 */
void snat_fullest(const struct snat *snat, unsigned farm, struct snat_fill *fullest);

#endif
