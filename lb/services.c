/*
 * The ports of each VIP, as sorted ranges.
 *
 * The ranges of all farms of a VIP stand together, so that one binary search finds the farm,
 * however many share the VIP. How many ranges there are depends on the farms alone, and not on who
 * shares what: so measuring needs no memory.
 */
#include "services.h"

/* The number of ports that follow each other at the end of ports[0..n-1]. */
static unsigned run_before(const be16 *ports, unsigned n)
{
	unsigned run = 1;

	while (run < n && be16_get(ports[n - run - 1]) + 1u == be16_get(ports[n - run]))
		run++;
	return run;
}

static uint32_t count_ranges(const struct rules_farm *farm)
{
	uint32_t n = 0;

	for (unsigned left = farm->nports; left; left -= run_before(farm->ports, left))
		n++;
	return n;
}

/* Merges the farm's ranges into the n that are there, from the end on. */
static uint32_t merge(struct service_range *ranges, uint32_t n, const struct rules *rules,
                      unsigned f)
{
	const struct rules_farm *farm = &rules->farms[f];
	const uint32_t sum = n + count_ranges(farm);
	uint32_t to = sum;

	for (unsigned left = farm->nports, run; left; left -= run) {
		run = run_before(farm->ports, left);
		while (n && ranges[n - 1].first > be16_get(farm->ports[left - 1]))
			ranges[--to] = ranges[--n];
		ranges[--to] = (struct service_range){
		        .first = be16_get(farm->ports[left - run]),
		        .last = be16_get(farm->ports[left - 1]),
		        .farm = (uint16_t)f,
		        .service = (uint16_t)(left - run),
		};
	}
	return sum;
}

/* The first farm with the VIP of farm f. */
static unsigned first_of_vip(const struct rules *rules, unsigned f)
{
	unsigned first = 0;

	while (!be32_eq(rules->farms[first].vip, rules->farms[f].vip))
		first++;
	return first;
}

void services_lay_out(struct services *services, struct arena *arena, const struct rules *rules)
{
	uint32_t nranges = 0;

	for (unsigned f = 0; f < rules->nfarms; f++)
		nranges += count_ranges(&rules->farms[f]);
	services->ranges = arena_take(arena, nranges, sizeof(*services->ranges));
	services->vips = arena_take(arena, rules->nfarms, sizeof(*services->vips));
	if (!services->vips)
		return;
	nranges = 0;
	for (unsigned f = 0; f < rules->nfarms; f++) {
		struct service_vip vip = {.range = nranges};

		if (first_of_vip(rules, f) != f)
			continue;
		for (unsigned g = f; g < rules->nfarms; g++)
			if (be32_eq(rules->farms[g].vip, rules->farms[f].vip)) {
				vip.is_shared |= g > f;
				vip.n = merge(&services->ranges[vip.range], vip.n, rules, g);
			}
		services->vips[f] = vip;
		nranges += vip.n;
	}
	for (unsigned f = 0; f < rules->nfarms; f++)
		services->vips[f] = services->vips[first_of_vip(rules, f)];
}

bool services_find(const struct services *services, unsigned farm, be16 port, unsigned *ret_farm,
                   unsigned *ret_service)
{
	const struct service_vip *vip = &services->vips[farm];
	const struct service_range *range = &services->ranges[vip->range];
	const uint16_t number = be16_get(port);
	uint32_t low = 0, high = vip->n;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (range[mid].last < number)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == vip->n || range[low].first > number)
		return false;
	*ret_farm = range[low].farm;
	*ret_service = range[low].service + (unsigned)(number - range[low].first);
	return true;
}
