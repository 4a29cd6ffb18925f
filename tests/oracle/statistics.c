/*
 * Reading the engine's counters, as the list of them says what they are: for a worker that has
 * nothing but the engine.
 */
#include "statistics.h"

#include "../../bridge/worker/worker.h"

static void read_counters(const struct lb *lb, uint64_t ret[NCOUNTERS])
{
	const struct worker *w = &(struct worker){.lb = (struct lb *)(uintptr_t)lb};
	const struct balance *b = lb_balance(lb);
	const struct segment *g = &b->segment;
	const struct neigh_counts *n = &(struct neigh_counts){0};
	const struct fastpath_counts *f = &(struct fastpath_counts){0};

#define FIRST(value)                                        0
#define VALUE(enumerator, group, member, kind, value, help) (uint64_t)(value),
	const uint64_t values[] = {COUNTERS(VALUE)};
#undef VALUE
#undef FIRST

	memcpy(ret, values, sizeof(values));
}

void statistics_read(const struct lb *lb, struct statistics *ret)
{
	const struct balance *balance = lb_balance(lb);
	const struct rules *rules = balance->farms->rules;
	unsigned address = 0;

	*ret = (struct statistics){0};
	read_counters(lb, ret->counters);
	memcpy(ret->whys, lb_whys(lb), sizeof(ret->whys));
	memcpy(ret->ended, balance->counts.ended, sizeof(ret->ended));
	for (unsigned s = 0; s < rules->nservers; s++) {
		ret->servers[s].connections = balance->farms->sched.servers[s].connections;
		ret->servers[s].total = balance->farms->sched.servers[s].connections_total;
		ret->servers[s].health = health_of(&balance->farms->health, s);
		ret->servers[s].ok = balance->farms->health.servers[s].probes_ok;
		ret->servers[s].failed = balance->farms->health.servers[s].probes_failed;
	}
	for (unsigned f = 0; f < rules->nfarms; f++)
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++)
			ret->ports_in_use[address++] =
			        balance->farms->snat
			                .in_use[balance->farms->snat.farms[f].address + i];
}
