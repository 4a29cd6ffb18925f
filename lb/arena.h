/*
 * All memory is taken at start, in one piece that the caller provides.
 *
 * A layout function takes what it needs from an arena, once with base NULL to learn the size, and
 * again with the memory: one function says both how much and where. Some arrays may stand elsewhere
 * (table.h).
 */
#ifndef LB_ARENA_H
#define LB_ARENA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena {
	uint8_t *base; /* NULL: only measure */
	size_t used;
	struct table *table; /* where the arrays of table.h are, or NULL: here */
};

enum { ARENA_ALIGN = 64 }; /* a cache line: also the alignment that base must have */

/* Room for n items of size bytes, or NULL when only measuring. */
static inline void *arena_take(struct arena *arena, size_t n, size_t size)
{
	size_t at = arena->used;

	arena->used += (n * size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	return arena->base ? arena->base + at : NULL;
}

/* The same, all zeros. */
static inline void *arena_take_zeroed(struct arena *arena, size_t n, size_t size)
{
	void *ret = arena_take(arena, n, size);

	if (ret)
		memset(ret, 0, n * size);
	return ret;
}

#endif
