/*
 * SNAT addresses that a reload has taken out of the file, and how many flows still have them. While
 * there are any such an address stays ours (rules_farm.nkept); nobody gets a port of it any more.
 */
#ifndef LB_KEPT_H
#define LB_KEPT_H

#include "arena.h"
#include "flow.h"
#include "rules.h"

struct kept {
	const struct rules *rules;
	uint32_t *first; /* by farm: its first one in flows */
	uint32_t *flows; /* by kept address, those that rest included; behind a farm's kept
	                    addresses: flows without SNAT */
	uint32_t all;
};

/* Takes the counts for rules from arena. */
void kept_lay_out(struct kept *kept, struct arena *arena, const struct rules *rules);

/* Counts one flow more (by = 1) or less (-1), if it is of a kept address. */
void kept_count(struct kept *kept, const struct flow *flow, int by);

/* How many flows have the farm's i-th kept address; i = nkept: how many have no SNAT address. */
static inline uint32_t kept_flows(const struct kept *kept, unsigned farm, unsigned i)
{
	return BOTH_READ(kept->flows[kept->first[farm] + i]);
}

#endif
