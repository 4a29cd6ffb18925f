/*
 * Each worker copies its figures into a place of its own, between two bursts; when all have, they
 * are added up here. So no sum is torn: what a frame has counted in one place it has in the others.
 */
#include "snapshot.h"

#include "../fastpath/fastpath.h"
#include "../port/packet.h"
#include "../process/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* By worker. */
struct each {
	unsigned n;
	struct figures figures[];
};

static void free_each(void *ctx)
{
	struct each *each = ctx;

	for (unsigned k = 0; each && k < each->n; k++)
		figures_free(&each->figures[k]);
	free(each);
}

static struct each *make_each(const struct workers *workers)
{
	struct each *each = calloc(1, sizeof(*each) + workers->n * sizeof(each->figures[0]));
	int err = 0;

	for (; each && !err && each->n < workers->n; each->n++)
		err = figures_init(&each->figures[each->n], workers->rules);
	if (!err)
		return each;
	free_each(each);
	return NULL;
}

/* The errand of a worker. */
static bool take(struct worker *worker, void *ctx, lb_time now)
{
	struct each *each = ctx;

	(void)now;
	for (unsigned side = 0; side < NSIDES; side++)
		packet_count_missed(worker->ports[side]);
	figures_take(&each->figures[worker->share.worker], worker);
	return false;
}

/* Adds the others' to the first worker's, which become the sum. */
static void add_up(struct snapshot *snapshot, struct each *each)
{
	for (unsigned k = 1; k < each->n; k++)
		figures_add(&each->figures[0], &each->figures[k], snapshot->rules);
	snapshot->sum = each->figures[0];
	each->figures[0] = (struct figures){0};
}

/* What the programs gave to the process, but the kernel had no room for before a port. */
static void add_refused(struct snapshot *snapshot, struct fastpath *fastpath)
{
	for (unsigned side = 0; fastpath && side < NSIDES; side++)
		snapshot->sum.ports[side][PORT_COUNTER_MISSED] +=
		        fastpath_refused(fastpath, (enum side)side);
}

int snapshot_take(struct snapshot *ret, struct crew *crew, lb_time started)
{
	const struct workers *workers = &crew->workers;
	struct snapshot snapshot = {
	        .rules = workers->rules, .ports = workers->worker[0].ports, .started = started};
	struct each *each = make_each(workers);
	int err = each ? crew_errand(crew, take, each) : -ENOMEM;

	if (!err) {
		add_up(&snapshot, each);
		add_refused(&snapshot, workers->fastpath);
		snapshot.taken = clock_now();
		snapshot.offset = clock_wall_offset();
		*ret = snapshot;
	}
	crew_dispose(crew, each, free_each);
	return err;
}

int snapshot_offline(struct snapshot *ret, const struct workers *workers, lb_time started,
                     lb_time now)
{
	struct snapshot snapshot = {.rules = workers->rules,
	                            .ports = workers->worker[0].ports,
	                            .taken = now,
	                            .started = started};
	struct each *each = make_each(workers);

	if (!each)
		return -ENOMEM;
	for (unsigned k = 0; k < workers->n; k++) {
		figures_take(&each->figures[k], &workers->worker[k]);
		if (k) /* all workers share the first one's ports: they count once */
			memset(each->figures[k].ports, 0, sizeof(each->figures[k].ports));
	}
	add_up(&snapshot, each);
	free_each(each);
	*ret = snapshot;
	return 0;
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
