/*
 * How many flows still have a SNAT address that is kept. A flow counts by its address alone, as the
 * service whose pool its port is from may be gone as well.
 */
#include "kept.h"

void kept_lay_out(struct kept *kept, struct arena *arena, const struct rules *rules)
{
	uint32_t n = 0;

	*kept = (struct kept){.rules = rules,
	                      .first = arena_take(arena, rules->nfarms, sizeof(*kept->first))};
	for (unsigned f = 0; f < rules->nfarms; f++) {
		if (kept->first)
			kept->first[f] = n;
		n += rules->farms[f].nkept + 1;
	}
	kept->flows = arena_take_zeroed(arena, n, sizeof(*kept->flows));
}

/* Sets *ret to which of the farm's kept addresses the flow has; false if none. */
static bool find(const struct rules_farm *farm, const struct flow *flow, unsigned *ret)
{
	*ret = farm->nkept;
	if (!flow_has_snat(flow))
		return farm->keeps_off;
	for (unsigned i = 0; i < farm->nkept; i++)
		if (be32_eq(farm->snat[farm->nsnat + i], flow->arrive[SERVER].dst)) {
			*ret = i;
			return true;
		}
	return false;
}

void kept_count(struct kept *kept, const struct flow *flow, int by)
{
	const unsigned farm = kept->rules->servers[flow->server].farm;
	uint32_t *flows;
	unsigned i;

	if (!find(&kept->rules->farms[farm], flow, &i))
		return;
	flows = &kept->flows[kept->first[farm] + i];
	BOTH_WRITE(*flows, *flows + (uint32_t)by);
	kept->all += (uint32_t)by;
}
