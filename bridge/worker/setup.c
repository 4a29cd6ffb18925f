/*
 * Making and freeing what hangs on the rules.
 */
#include "setup.h"

#include "../process/log.h"

#include <errno.h>
#include <stdlib.h>

void setup_free(struct setup *setup)
{
	probes_free(setup->probes);
	neigh_free(setup->neigh);
	events_free(&setup->events);
	firewall_free(setup->firewall);
	free(setup->faults);
	memory_free(&setup->memory);
	for (unsigned i = 0; i < LB_EXTRAS; i++)
		memory_free(&setup->extras[i]);
}

int setup_init(struct setup *setup, const struct rules *rules, const struct share *share,
               const struct hash_key *key, lb_time now)
{
	int err;

	*setup = (struct setup){.rules = rules};
	if ((err = memory_take(&setup->memory, farms_size(rules))) < 0)
		return err;
	setup->farms = farms_init(setup->memory.at, rules, share, key, now);
	setup->neigh = neigh_new(rules, !share->worker);
	if (setup->neigh)
		setup->probes =
		        probes_new(rules, share, &setup->farms->health, setup->neigh, key, now);
	setup->faults = calloc(rules->nservers + 1u, sizeof(*setup->faults));
	err = firewall_new(rules, share, now, &setup->firewall);
	if (!err && setup->probes && setup->faults &&
	    events_init(&setup->events, setup->farms) == 0)
		return 0;
	setup_free(setup);
	*setup = (struct setup){0};
	log_error(err == -EINVAL ? "a filter can't be compiled any more" : "out of memory");
	return err == -EINVAL ? err : -ENOMEM;
}
