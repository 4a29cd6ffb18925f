/*
 * The life of struct rules after cfg/ has built it: names for its enums, and its end.
 */
#include "rules.h"

#include <stdlib.h>

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (unsigned i = 0; i < rules->nfarms; i++) {
		struct rules_farm *farm = &rules->farms[i];

		free(farm->ports);
		free(farm->checks);
		free(farm->snat);
		free(farm->snat_ports);
		free(farm->connlog);
	}
	free(rules->farms);
	free(rules->servers);
	free(rules);
}

const char *rules_scheduler_name(enum rules_scheduler scheduler)
{
	static const char *const names[] = {
		[SCHED_WLC] = "wlc", [SCHED_LC] = "lc",		[SCHED_WRR] = "wrr",
		[SCHED_RR] = "rr",   [SCHED_SOURCE] = "source",
	};

	return names[scheduler];
}

const char *rules_state_name(enum rules_state state)
{
	static const char *const names[] = {
		[STATE_ACTIVE] = "active",
		[STATE_STANDBY] = "standby",
		[STATE_DRAIN] = "drain",
		[STATE_DISABLED] = "disabled",
	};

	return names[state];
}

unsigned rules_pools_per_server(const struct rules_farm *farm)
{
	return farm->nports <= RULES_POOLED_PORTS_MAX ? farm->nports : 1;
}
