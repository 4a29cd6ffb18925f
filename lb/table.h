/*
 * The engine's own arrays, which another reader may share: a program in the kernel, or the process
 * that comes after this one.
 *
 * They stand in the engine's memory, or each in memory that the caller provides, laid out by the
 * same code: lb_table_sizes() says how large each is, lb_init_shared() takes it. An array is
 * elements one after the other, each a multiple of TABLE_ALIGN bytes long, as in a BPF array map
 * (which rounds up to that). For each there is the name of such a map, and its element's type.
 *
 * Anything that isn't here, and links (lists, check times, pools of SNAT ports, the rules' state)
 * is the process's own and can be made anew from these.
 *
 *   head     one: how large the others are and what the index is hashed by
 *   buckets  the index: index.h
 *   flows    flow.h, as are:
 *   cold     what few packets need of a flow, and what engine and program count
 *   spare    what flows need by their state: hops for which places had no room, links of queues
 *   places   hops: hops.h
 *   client6  IPv6 clients' addresses; needed only if there are any
 *   known6   the IPv6 addresses that flows name: rules.names, which a reload only adds to
 *   notes    what another writer has to tell the engine: notes.h; only where there is one
 *
 * A change of any of these types, or of what they mean, needs another TABLE_LAYOUT.
 */
#ifndef LB_TABLE_H
#define LB_TABLE_H

#include "arena.h"

#include <assert.h>
#include <stdbool.h>

enum { TABLE_LAYOUT = 5, TABLE_ALIGN = 8 };

#define TABLE_ARRAYS(X)                                                                            \
	X(HEAD, head, struct table_head)                                                           \
	X(BUCKETS, buckets, struct bucket)                                                         \
	X(FLOWS, flows, struct flow)                                                               \
	X(COLD, cold, struct flow_cold)                                                            \
	X(SPARE, spare, union flow_spare)                                                          \
	X(PLACES, places, struct hops_place)                                                       \
	X(CLIENT6, client6, struct ip6)                                                            \
	X(NAMES, known6, struct ip6)                                                               \
	X(NOTES, notes, uint64_t)

#define TABLE_ENUM(constant, name, type) TABLE_##constant,
enum table_array_id { TABLE_ARRAYS(TABLE_ENUM) TABLE_NARRAYS };
#undef TABLE_ENUM

struct table_array {
	size_t elements, element_bytes;
	void *memory; /* aligned to ARENA_ALIGN; the caller's */
};

struct table {
	struct table_array arrays[TABLE_NARRAYS];
	bool keep;           /* what is in the arrays stays: lb_adopt() */
	bool keep_half_open; /* asked of it, as in a replay: half-open flows go on as well */
};

struct table_head {
	uint32_t layout;                   /* TABLE_LAYOUT: the last thing to be written */
	uint32_t flows, nbuckets, nplaces; /* elements of the arrays */
	uint64_t key[2];                   /* of which the factors are made */
	uint64_t factors[4];               /* flows_hash() */
	uint64_t factors6[5];              /* name_hashed() */
	uint64_t epoch_ns;                 /* when tick 0 was (flow.h), on the caller's clock */
	uint32_t nnames;                   /* names that there are, of those that there may be */
	uint32_t noted;                    /* not 0: there are notes to be taken */
};

/*
 * Room for one of the arrays: from the arena or, if that has a table, in the memory that it says;
 * NULL when only measuring, and then the size is noted there.
 */
static inline void *table_take(struct arena *arena, enum table_array_id id, size_t elements,
                               size_t element_bytes)
{
	struct table_array *array;

	if (!arena->table)
		return arena_take(arena, elements, element_bytes);
	array = &arena->table->arrays[id];
	array->elements = elements;
	array->element_bytes = element_bytes;
	return arena->base ? array->memory : NULL;
}

/* If what is in these arrays is to stay. */
static inline bool table_keeps(const struct arena *arena)
{
	return arena->table && arena->table->keep;
}

#endif
