/*
 * Each worker copies its figures into a place of its own, between two bursts; when all have, they
 * are added up here. So no sum is torn: what a frame has counted in one place it has in the others.
 */
#include "snapshot.h"

#include "../port/packet.h"
#include "../process/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The errand of a worker; ctx is the array of figures by worker. */
static void take(struct worker *worker, void *ctx, lb_time now)
{
	struct figures *each = ctx;

	(void)now;
	for (unsigned side = 0; side < NSIDES; side++)
		packet_count_missed(worker->ports[side]);
	figures_take(&each[worker->share.worker], worker);
}

static void free_each(struct figures *each, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		figures_free(&each[k]);
	free(each);
}

/* Adds the others' to the first worker's, which become the sum. */
static void add_up(struct snapshot *snapshot, struct figures *each, unsigned n)
{
	for (unsigned k = 1; k < n; k++)
		figures_add(&each[0], &each[k], snapshot->rules);
	snapshot->sum = each[0];
	each[0] = (struct figures){0};
}

int snapshot_take(struct snapshot *ret, struct crew *crew, lb_time started)
{
	const struct workers *workers = &crew->workers;
	struct snapshot snapshot = {
	        .rules = workers->rules, .ports = workers->worker[0].ports, .started = started};
	struct figures *each = calloc(crew->n, sizeof(*each));
	int err = each ? 0 : -ENOMEM;

	for (unsigned k = 0; k < crew->n && !err; k++)
		err = figures_init(&each[k], workers->rules);
	if (!err)
		err = crew_errand(crew, take, each);
	if (!err) {
		add_up(&snapshot, each, crew->n);
		snapshot.taken = clock_now();
		snapshot.offset = clock_wall_offset();
		*ret = snapshot;
	}
	if (each)
		free_each(each, crew->n);
	return err;
}

int snapshot_offline(struct snapshot *ret, const struct workers *workers, lb_time started,
                     lb_time now)
{
	struct snapshot snapshot = {.rules = workers->rules,
	                            .ports = workers->worker[0].ports,
	                            .taken = now,
	                            .started = started};
	struct figures *each = calloc(workers->n, sizeof(*each));
	int err = each ? 0 : -ENOMEM;

	for (unsigned k = 0; k < workers->n && !err; k++) {
		err = figures_init(&each[k], workers->rules);
		if (err)
			continue;
		figures_take(&each[k], &workers->worker[k]);
		if (k) /* all workers share the first one's ports: they count once */
			memset(each[k].ports, 0, sizeof(each[k].ports));
	}
	if (!err) {
		add_up(&snapshot, each, workers->n);
		*ret = snapshot;
	}
	if (each)
		free_each(each, workers->n);
	return err;
}

void snapshot_look_at_snat(struct snapshot *snapshot, const struct workers *workers)
{
	const unsigned n = snapshot->rules->nfarms;

	snapshot->fullest = calloc(n + 1u, sizeof(*snapshot->fullest));
	for (unsigned f = 0; snapshot->fullest && f < n; f++) {
		snapshot->fullest[f].room = 1;
		for (unsigned k = 0; k < workers->n; k++)
			snat_fullest(&workers->worker[k].setup.farms->snat, f,
			             &snapshot->fullest[f]);
	}
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->fullest);
	figures_free(&snapshot->sum);
	*snapshot = (struct snapshot){0};
}

uint64_t snapshot_frames(const struct snapshot *snapshot, enum lb_act act)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LB_NWHYS; i++)
		if (lb_why_act((enum lb_why)i) == act)
			sum += snapshot->sum.whys[i];
	return sum;
}

uint64_t snapshot_received(const struct snapshot *snapshot)
{
	uint64_t sum = 0;

	for (unsigned act = 0; act < LB_NACTS; act++)
		if (act != LB_HAND_OVER)
			sum += snapshot_frames(snapshot, (enum lb_act)act);
	return sum;
}

enum health_verdict snapshot_health(const struct snapshot *snapshot, unsigned server)
{
	if (snapshot->rules->servers[server].state == STATE_DISABLED)
		return HEALTH_UNKNOWN;
	return (enum health_verdict)snapshot->sum.healths[server].health.verdict;
}
