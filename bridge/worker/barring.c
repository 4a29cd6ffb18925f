/*
 * A frame that was dropped before the worker had it counts as if it had come by its port and the
 * engine had dropped it: so the sums of all figures hold, and the log says how many there were.
 */
#include "barring.h"

/* If filters must have frames before the limits for clients do: as the process has filters, or the
 * kernel has some that reset connections. */
static bool are_filters_first(const struct worker *worker)
{
	const struct rules *rules = worker->setup.rules;
	bool ret = rules->nfilters && !fastpath_filters(worker->fastpath);

	for (unsigned i = 0; i < rules->nfilters; i++)
		ret |= rules->filters[i].action == ON_MATCH_RESET;
	return ret;
}

void barring_rest(struct worker *worker)
{
	lb_rest_barred(worker->lb, worker->tap || are_filters_first(worker));
}

void barring_count(struct worker *worker, lb_time now)
{
	struct barred_counts counts;

	barring_rest(worker);
	if (!lb_take_barred(worker->lb, now, &counts))
		return;
	for (unsigned side = 0; side < NSIDES; side++) {
		struct port_counts *port = &worker->ports[side]->counts;

		port->received_bytes += counts.bytes[side];
		for (unsigned i = 0; i < BARRED_KINDS; i++) {
			port->received += counts.frames[side][i];
			if (i < BARRED_RST) /* the log has no line for the others */
				events_refused_elsewhere(&worker->setup.events,
				                         (enum lb_why)(WHY_CLIENT_DENIED + i),
				                         counts.frames[side][i]);
		}
	}
}
