/*
 * A step is an errand to the worker whose turn it is, in some parts, each of which takes SCAN_NS of
 * its time, however many flows it looks at meanwhile and whatever it takes to see if they are
 * meant: frames that come wait no longer than that. What opens and ends meanwhile may or may not be
 * seen.
 *
 * Each flow has its lines in several arrays, none of which is near: they are fetched while some
 * others are looked at.
 */
#include "scan.h"

#include "../process/clock.h"
#include "../worker/duties.h"

#include <errno.h>
#include <stdlib.h>

/* How long a part takes of a worker, in ns; after how many flows it looks at the clock (after each
 * one, if those that are found are ended); and how many flows ahead it fetches. */
#define SCAN_NS (20 * 1000ull)
enum { SCAN_LOOKS = 16, SCAN_AHEAD = 8 };

/* How many of these a step has at most: between two of them the worker looks for frames, and nobody
 * has to be woken for the next one. */
enum { SCAN_PARTS = 32 };

struct scan *scan_new(const struct crew *crew)
{
	struct scan *scan = calloc(1, sizeof(*scan));

	if (scan)
		scan->generation = crew->workers.generation;
	return scan;
}

static void free_scan(void *ctx)
{
	struct scan *scan = ctx;

	if (scan)
		best_free(scan->best);
	free(scan);
}

void scan_free(struct scan *scan, struct crew *crew)
{
	crew_dispose(crew, scan, free_scan);
}

static void fetch(const struct flows *flows, uint32_t f)
{
	__builtin_prefetch(&flows->flow[f]);
	__builtin_prefetch(&flows->cold[f]);
	__builtin_prefetch(&flows->spare[f]);
}

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

static bool step(struct worker *worker, void *ctx, lb_time now)
{
	struct scan *scan = ctx;
	const struct flows *flows = &lb_balance(worker->lb)->flows;
	const unsigned looks = scan->reset ? 1 : SCAN_LOOKS;
	const lb_time begun = clock_now();

	for (unsigned i = 1; scan->flow < flows->reached && scan->n < scan->max; i++) {
		if (i % looks == 0 && i > 1 && clock_now().ns - begun.ns >= SCAN_NS)
			return ++scan->parts < SCAN_PARTS;
		if (scan->flow + SCAN_AHEAD < flows->reached)
			fetch(flows, scan->flow + SCAN_AHEAD);
		look(scan, worker, now);
		scan->flow++;
	}
	if (scan->flow < flows->reached)
		return false;
	scan->worker++;
	scan->flow = 0;
	return false;
}

int scan_step(struct scan *scan, struct crew *crew, unsigned max)
{
	int err;

	scan->n = scan->said = scan->parts = 0;
	scan->max = max < SCAN_FOUND_MAX ? max : SCAN_FOUND_MAX;
	scan->has_floor = scan->best && best_floor(scan->best, &scan->floor);
	if (scan->generation != crew->workers.generation)
		return -ESTALE;
	if (scan->worker >= crew->n)
		return 1;
	err = crew_errand_to(crew, scan->worker, step, scan);
	if (err && crew_has(crew, scan))
		return -EBUSY;
	if (err)
		return err;
	for (unsigned i = 0; scan->best && i < scan->n; i++)
		best_offer(scan->best, scan->numbers[i], &scan->found[i]);
	return scan->worker >= crew->n;
}
