/*
 * Reading the engine's counters, as bridge/worker/counters.h has them.
 */
#include "statistics.h"

void statistics_read(const struct lb *lb, struct statistics *ret)
{
	const struct balance *balance = lb_balance(lb);
	const struct rules *rules = balance->farms->rules;
	unsigned address = 0;

	*ret = (struct statistics){
	        .created = balance->counts.created,
	        .refused = balance->counts.refused,
	        .cut = balance->counts.quarantine_cut,
	        .resets = balance->counts.resets,
	        .revived = balance->counts.revived,
	        .open = balance_open_flows(balance),
	        .half_open = balance->flows.openings.list.length,
	        .resting = balance_quarantined(balance),
	        .stickies_evicted = balance->persist.evicted,
	};
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
