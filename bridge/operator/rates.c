/*
 * Two snapshots, a second apart. After a reload servers have other numbers: then both are
 * forgotten.
 */
#include "rates.h"

static void forget(struct snapshot *snapshot)
{
	if (snapshot->rules)
		snapshot_free(snapshot);
}

void rates_free(struct rates *rates)
{
	forget(&rates->from);
	forget(&rates->to);
}

void rates_look(struct rates *rates, struct crew *crew, lb_time started, lb_time now)
{
	struct snapshot snapshot;

	if (now.ns < rates->next.ns)
		return;
	rates->next.ns = now.ns + RATES_EVERY_MS * LB_NS_PER_MS;
	if (rates->generation != crew->workers.generation)
		rates_free(rates);
	rates->generation = crew->workers.generation;
	if (snapshot_take(&snapshot, crew, started))
		return;
	forget(&rates->from);
	rates->from = rates->to;
	rates->to = snapshot;
}

bool rates_are_known(const struct rates *rates, const struct crew *crew)
{
	return rates->from.rules && rates->to.rules &&
	       rates->generation == crew->workers.generation;
}

double rates_of(const struct rates *rates, uint64_t from, uint64_t to)
{
	const uint64_t ns = rates->to.taken.ns - rates->from.taken.ns;

	return to > from && ns ? (double)(to - from) * (double)LB_NS_PER_S / (double)ns : 0;
}
