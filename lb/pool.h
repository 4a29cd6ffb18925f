/*
 * A pool of ports: which of them are busy.
 */
#ifndef LB_POOL_H
#define LB_POOL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	POOL_PORTS = 65536,
	POOL_WORD = 64,
	POOL_WORDS = POOL_PORTS / POOL_WORD,
	POOL_ALL_WORDS = POOL_WORDS / POOL_WORD,
};

struct pool {
	uint64_t busy[POOL_WORDS];
	uint64_t full[POOL_ALL_WORDS]; /* busy[i] has no free port */
};

static inline bool pool_is_busy(const struct pool *pool, uint32_t port)
{
	return pool->busy[port / POOL_WORD] >> port % POOL_WORD & 1;
}

void pool_mark_busy(struct pool *pool, uint32_t port);
void pool_mark_free(struct pool *pool, uint32_t port);

/* The first free port at or after from, or POOL_PORTS; a constant number of steps. */
uint32_t pool_find_free(const struct pool *pool, uint32_t from);

/* How many ports are free. */
uint32_t pool_room(const struct pool *pool);

#endif
