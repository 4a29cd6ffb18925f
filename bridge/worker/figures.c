/*
 * Copying takes some microseconds, with thousands of servers some dozens: less than a burst, so
 * that no worker has to stand still for it.
 *
 * The fast path's counts are of all processors together. The first worker has them among its own:
 * so the reasons add up to the frames received in each copy.
 */
#include "figures.h"

#include <errno.h>
#include <stdlib.h>

#define NAME(enumerator, group, member, kind, value, help) {group, member, kind, help},
#define NAME_OF_ONE(enumerator, member, kind, value, help) {NULL, member, kind, help},
const struct counter_name counter_names[] = {COUNTERS(NAME)};
const struct counter_name port_counter_names[] = {PORT_COUNTERS(NAME_OF_ONE)};
const struct counter_name server_counter_names[] = {SERVER_COUNTERS(NAME_OF_ONE)};
#undef NAME
#undef NAME_OF_ONE

/* SNAT addresses of all farms. */
static unsigned count_snat(const struct rules *rules)
{
	unsigned n = 0;

	for (unsigned f = 0; f < rules->nfarms; f++)
		n += rules_all_snat(&rules->farms[f]);
	return n;
}

int figures_init(struct figures *figures, const struct rules *rules)
{
	*figures = (struct figures){
	        .servers = calloc(rules->nservers + 1u, sizeof(*figures->servers)),
	        .times = calloc(rules->nservers + 1u, sizeof(*figures->times)),
	        .snat_in_use = calloc(count_snat(rules) + 1u, sizeof(*figures->snat_in_use)),
	        .healths = calloc(rules->nservers + 1u, sizeof(*figures->healths)),
	        .farm_up = calloc(rules->nfarms + 1u, sizeof(*figures->farm_up)),
	};
	return figures->servers && figures->times && figures->snat_in_use && figures->healths &&
	                       figures->farm_up
	               ? 0
	               : -ENOMEM;
}

void figures_free(struct figures *figures)
{
	free(figures->servers);
	free(figures->times);
	free(figures->snat_in_use);
	free(figures->healths);
	free(figures->farm_up);
}

static void take_counters(struct figures *figures, const struct worker *w,
                          const struct fastpath_counts *f)
{
	const struct balance *b = lb_balance(w->lb);
	const struct segment *g = &b->segment;
	const struct neigh_counts *n = neigh_counts(w->setup.neigh);

#define FIRST(value)                                        (w->share.worker ? 0 : (value))
#define VALUE(enumerator, group, member, kind, value, help) (uint64_t)(value),
	const uint64_t values[] = {COUNTERS(VALUE)};
#undef VALUE
#undef FIRST

	memcpy(figures->counters, values, sizeof(values));
}

static void take_port(uint64_t ret[NPORT_COUNTERS], const struct port *p)
{
#define VALUE(enumerator, member, kind, value, help) (value),
	const uint64_t values[] = {PORT_COUNTERS(VALUE)};
#undef VALUE

	memcpy(ret, values, sizeof(values));
}

static void take_server(uint64_t ret[NSERVER_COUNTERS], const struct sched_server *s,
                        const struct flow_sum *c)
{
#define VALUE(enumerator, member, kind, value, help) (value),
	const uint64_t values[] = {SERVER_COUNTERS(VALUE)};
#undef VALUE

	memcpy(ret, values, sizeof(values));
}

/* What the programs in the kernel have done counts like what the worker has. */
static void add_fastpath(struct figures *figures, const struct fastpath_counts *counts)
{
	for (unsigned i = 0; i < LB_NWHYS; i++)
		figures->whys[i] += counts->whys[i];
	for (unsigned side = 0; side < NSIDES; side++) {
		figures->ports[side][PORT_COUNTER_RECEIVED] += counts->received[side];
		figures->ports[side][PORT_COUNTER_SENT] += counts->sent[side];
		figures->ports[side][PORT_COUNTER_RECEIVED_BYTES] += counts->received_bytes[side];
		figures->ports[side][PORT_COUNTER_SENT_BYTES] += counts->sent_bytes[side];
		figures->ports[side][PORT_COUNTER_SEND_FAILED] += counts->unsent[side];
	}
}

/* What only the first worker knows. */
static void take_verdicts(struct figures *figures, const struct worker *worker)
{
	const struct rules *rules = worker->setup.rules;

	for (unsigned s = 0; s < rules->nservers; s++)
		figures->healths[s] = (struct figures_health){
		        .health = worker->setup.farms->health.servers[s],
		        .faults = worker->setup.faults[s],
		};
	for (unsigned f = 0; f < rules->nfarms; f++)
		figures->farm_up[f] = sched_is_up(&worker->setup.farms->sched, f);
}

/* Returns how many SNAT addresses the farm has. */
static unsigned take_snat(uint64_t *ret, const struct farms *farms, unsigned f)
{
	const struct rules_farm *farm = &farms->rules->farms[f];

	for (unsigned i = 0; i < farm->nsnat; i++)
		ret[i] = farms->snat.in_use[farms->snat.farms[f].address + i];
	for (unsigned i = 0; i < farm->nkept; i++)
		ret[farm->nsnat + i] = kept_flows(&farms->kept, f, i);
	return rules_all_snat(farm);
}

static void add_filter(struct firewall_counts *sum, const struct firewall_counts *counts)
{
	sum->matched += counts->matched;
	sum->over += counts->over;
	sum->dropped += counts->dropped;
	if (counts->last.ns > sum->last.ns)
		sum->last = counts->last;
}

/* What the process has filtered, and the kernel. */
static void take_filter(struct figures *figures, const struct worker *worker, unsigned filter)
{
	struct fastpath_filter_counts counts;

	figures->filters[filter] = firewall_counts(worker->setup.firewall, filter);
	if (worker->share.worker)
		return;
	fastpath_filter_count(worker->fastpath, filter, &counts);
	add_filter(&figures->filters[filter], &(struct firewall_counts){.matched = counts.matched,
	                                                                .over = counts.over,
	                                                                .dropped = counts.dropped,
	                                                                .last = {counts.last_ns}});
}

void figures_take(struct figures *figures, struct worker *worker)
{
	const struct rules *rules = worker->setup.rules;
	const struct farms *farms = worker->setup.farms;
	struct fastpath_counts fastpath = {0};
	unsigned n = 0;

	if (worker->fastpath && !worker->share.worker) {
		fastpath_count(worker->fastpath, &fastpath);
		fastpath_take_sums(worker->fastpath, rules->nservers, farms->sums);
	}
	memcpy(figures->whys, lb_whys(worker->lb), sizeof(figures->whys));
	take_counters(figures, worker, &fastpath);
	for (unsigned side = 0; side < NSIDES; side++)
		take_port(figures->ports[side], worker->ports[side]);
	add_fastpath(figures, &fastpath);
	for (unsigned s = 0; s < rules->nservers; s++)
		take_server(figures->servers[s], &farms->sched.servers[s], &farms->sums[s]);
	memcpy(figures->times, farms->times, rules->nservers * sizeof(*figures->times));
	figures->bursts = worker->burst_times;
	for (unsigned f = 0; f < rules->nfarms; f++)
		n += take_snat(&figures->snat_in_use[n], farms, f);
	for (unsigned i = 0; i < rules->nfilters; i++)
		take_filter(figures, worker, i);
	if (!worker->share.worker)
		take_verdicts(figures, worker);
}

static void add(uint64_t *sum, const uint64_t *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += values[i];
}

void figures_add(struct figures *sum, const struct figures *figures, const struct rules *rules)
{
	add(sum->whys, figures->whys, LB_NWHYS);
	add(sum->counters, figures->counters, NCOUNTERS);
	for (unsigned side = 0; side < NSIDES; side++)
		add(sum->ports[side], figures->ports[side], NPORT_COUNTERS);
	for (unsigned s = 0; s < rules->nservers; s++)
		add(sum->servers[s], figures->servers[s], NSERVER_COUNTERS);
	for (unsigned s = 0; s < rules->nservers; s++) {
		times_add(&sum->times[s].connect, &figures->times[s].connect);
		times_add(&sum->times[s].flow, &figures->times[s].flow);
	}
	times_add(&sum->bursts, &figures->bursts);
	for (unsigned i = 0; i < rules->nfilters; i++)
		add_filter(&sum->filters[i], &figures->filters[i]);
	add(sum->snat_in_use, figures->snat_in_use, count_snat(rules));
}
