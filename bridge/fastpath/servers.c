/*
 * What the fast path knows of servers: by which numbers flows name them, where they are, and what
 * their flows have carried.
 */
#include "fastpath.h"
#include "whole.h"

void fastpath_begin(struct fastpath *fastpath, const struct rules *rules)
{
	if (!fastpath_inherits(fastpath))
		return;
	if (maps_have_other_names(&fastpath->maps, rules))
		maps_hold(&fastpath->maps, FASTPATH_RENAMED);
	else if (!maps_have_other_numbers(&fastpath->maps, rules))
		return;
	maps_renumber(&fastpath->maps, rules);
}

int fastpath_begun(struct fastpath *fastpath, const struct rules *rules)
{
	int err;

	if (!fastpath_inherits(fastpath))
		return 0;
	fastpath->inherits = false;
	maps_renumbered(&fastpath->maps, NULL, 0, NULL);
	err = maps_set_rules(&fastpath->maps, rules);
	maps_hold(&fastpath->maps, FASTPATH_FREE);
	return err;
}

bool fastpath_renumber(struct fastpath *fastpath, const struct rules *rules, const uint16_t *map,
                       unsigned n)
{
	return fastpath && maps_renumber_by(&fastpath->maps, rules, map, n);
}

void fastpath_renumbered(struct fastpath *fastpath, const uint16_t *map, unsigned n,
                         struct flow_sum *sums)
{
	maps_renumbered(&fastpath->maps, map, n, sums);
}

void fastpath_set_way(struct fastpath *fastpath, const struct rules *rules, unsigned server,
                      const struct hop *hop)
{
	maps_set_way(&fastpath->maps, rules, server, hop);
}

bool fastpath_way(const struct fastpath *fastpath, unsigned server, struct hop *ret)
{
	return maps_way(&fastpath->maps, server, ret);
}

bool fastpath_used_way(struct fastpath *fastpath, unsigned server)
{
	return maps_used_way(&fastpath->maps, server);
}

void fastpath_take_sums(struct fastpath *fastpath, unsigned n, struct flow_sum *sums)
{
	if (fastpath)
		maps_take_sums(&fastpath->maps, n, sums);
}
