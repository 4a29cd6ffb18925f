/*
 * A step is an errand to the worker whose turn it is: it looks at SCAN_LOOKS flows at most, which
 * takes less than a burst. What opens and ends meanwhile may or may not be seen.
 */
#include "scan.h"

#include "../worker/duties.h"
#include <errno.h>

enum { SCAN_LOOKS = 4096, SCAN_RESETS = 32 };

static void look(struct scan *scan, struct worker *worker, lb_time now)
{
	const struct balance *balance = lb_balance(worker->lb);
	struct flow_view *view = &scan->found[scan->n];
	uint64_t number = 0;

	if (balance->flows.flow[scan->flow].state == FLOW_FREE)
		return;
	if (scan->best)
		number = flow_number(balance, scan->flow, scan->by, now);
	if (scan->has_floor && number <= scan->floor)
		return;
	flow_view(balance, scan->flow, now, view);
	if (!filter_matches(&scan->filter, worker->setup.rules, view))
		return;
	if (scan->reset && !duties_end_flow(worker, scan->flow, now))
		return;
	scan->numbers[scan->n++] = number;
}

static void step(struct worker *worker, void *ctx, lb_time now)
{
	struct scan *scan = ctx;
	const uint32_t reached = lb_balance(worker->lb)->flows.reached;

	for (unsigned i = 0; i < SCAN_LOOKS && scan->flow < reached && scan->n < scan->max; i++) {
		look(scan, worker, now);
		scan->flow++;
	}
	if (scan->flow < reached)
		return;
	scan->worker++;
	scan->flow = 0;
}

int scan_step(struct scan *scan, struct crew *crew, unsigned max)
{
	const unsigned most = scan->reset ? SCAN_RESETS : SCAN_FOUND_MAX;
	int err;

	scan->n = 0;
	scan->max = max < most ? max : most;
	scan->has_floor = scan->best && best_floor(scan->best, &scan->floor);
	if (scan->generation != crew->workers.generation)
		return -ESTALE;
	if (scan->worker >= crew->n)
		return 1;
	err = crew_errand_to(crew, scan->worker, step, scan);
	for (unsigned i = 0; scan->best && i < scan->n; i++)
		best_offer(scan->best, scan->numbers[i], &scan->found[i]);
	return err ? err : scan->worker >= crew->n;
}
