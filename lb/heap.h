/*
 * A farm's servers in the order in which they are next: a heap.
 */
#ifndef LB_HEAP_H
#define LB_HEAP_H

#include "fastest.h"
#include "rules.h"

/* What its scheduler has of a server. */
struct sched_server {
	uint32_t connections; /* live flows */
	uint32_t half_open;   /* those of them that aren't open yet: they may have to make room */
	uint32_t load;        /* those in which neither end has sent FIN */
	uint64_t connections_total;
	uint64_t turn;  /* virtual time of its next turn; see sched.c */
	uint64_t rank;  /* its load by its share: the least is next */
	uint32_t step;  /* by how much a connection moves it on */
	uint32_t share; /* what its load is divided by */
	uint32_t limit; /* connections that it may have; UINT32_MAX: any number */
	uint16_t place; /* in its farm's heap, or SERVER_NONE */
	uint32_t flows; /* that name it, those in quarantine included; see sched_has_flows() */
	struct answers answers;
};

/* One farm's heap, put together for the time of a call. */
struct heap {
	struct sched_server *servers; /* sched.servers */
	uint16_t *at;
	unsigned n;
	bool by_load;
};

/* The rank of a server that is full; and of a full one that has a half-open flow, which would make
 * room. */
#define HEAP_RANK_NEVER UINT64_MAX
#define HEAP_RANK_LAST  (UINT64_MAX - 1)

static inline bool heap_is_full(const struct sched_server *server)
{
	return server->connections >= server->limit;
}

/* The rank that the server has by its load and its share: those that have their max_connections are
 * last. */
uint64_t heap_rank(const struct heap *heap, const struct sched_server *server);

/* If server a comes before server b. */
bool heap_is_before(const struct heap *heap, unsigned a, unsigned b);

/* Puts a server there. */
void heap_put(const struct heap *heap, unsigned place, uint16_t server);

/* Moves server, whose place is free, towards the top until what is above comes before it; or
 * towards the bottom, until it comes before both of those below. Returns its place then. */
unsigned heap_rise(const struct heap *heap, unsigned place, uint16_t server);
unsigned heap_sink(const struct heap *heap, unsigned place, uint16_t server);

#endif
