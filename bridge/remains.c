/*
 * Which packets to addresses that the host has itself are tmbridge's say the rules alone
 * (lb/local.h), and the guard keeps those from the host's stack. But flows go on though a reload
 * has given up their service, or their SNAT port: so their ports are added to what the guard keeps,
 * one by one, as long as there are such flows. Until these have been looked for, which takes the
 * longer the more flows there are, it keeps all that it did.
 */
#include "remains.h"

#include "process/clock.h"
#include "process/log.h"

/* How often it is looked for flows that are left, of which each takes a look. */
enum { REMAINS_LOOK_S = 30 };

/* How many flows a worker looks at between two bursts (some 20 us), and how many times in one
 * errand. */
enum { REMAINS_FLOWS = 1024, REMAINS_PARTS = 32 };

static bool look(struct worker *worker, void *ctx, lb_time now)
{
	struct remains *remains = ctx;
	const struct flows *flows = &lb_balance(worker->lb)->flows;

	(void)now;
	for (unsigned i = 0; i < REMAINS_FLOWS && remains->flow < flows->reached; i++) {
		const struct flow *flow = flows_at(flows, remains->flow++);

		if (flow->state != FLOW_FREE)
			remains->found |= guard_keep(remains->guard, remains->rules, flow->arrive);
	}
	remains->more = remains->flow < flows->reached;
	return remains->more && ++remains->parts < REMAINS_PARTS;
}

/* Has the guard keep what the flows of that worker need beyond the rules that it is prepared for.
 * Returns 0 or, if the worker doesn't come to it, a negative errno. */
static int keep(struct live *live, unsigned worker)
{
	struct remains *remains = &live->remains;
	int err = 0;

	remains->flow = 0;
	do {
		remains->parts = 0;
		err = crew_errand_to(&live->crew, worker, look, remains);
	} while (!err && remains->more);
	return err;
}

/* The same of all flows. Of those that begin meanwhile the ports are these rules'. */
static int keep_all(struct live *live)
{
	int err = guard_prepare_rules(live->guard, live->remains.rules);

	for (unsigned k = 0; k < live->crew.n && !err; k++)
		err = keep(live, k);
	return err;
}

void remains_note(struct live *live, const struct rules *rules)
{
	live->remains.any |= guard_keep_all(live->guard, rules);
	live->remains.look = (lb_time){0};
}

/* Has the guard keep what those flows need that an earlier process has left to a worker. */
static bool keep_left(const struct live *live, const struct rules *rules, unsigned worker)
{
	struct share share = live->share;
	struct table table = {0};
	const struct table_array *flows = &table.arrays[TABLE_FLOWS];
	bool any = false;

	share.worker = (uint16_t)worker;
	lb_table_sizes(rules, &share, &table);
	fastpath_table(live->fastpath, worker, &table);
	for (size_t f = 0; f < flows->elements; f++) {
		const struct flow *flow = (const struct flow *)flows->memory + f;

		if (flow->state != FLOW_FREE)
			any |= guard_keep(live->guard, rules, flow->arrive);
	}
	return any;
}

void remains_adopt(struct live *live, const struct rules *rules)
{
	if (!rules_has_stack(rules) || !fastpath_inherits(live->fastpath) || !live->guard ||
	    guard_prepare_rules(live->guard, rules) < 0)
		return;
	for (unsigned k = 0; k < live->share.n; k++)
		live->remains.any |= keep_left(live, rules, k);
	guard_set_rules(live->guard, rules);
}

void remains_look(struct live *live)
{
	struct remains *remains = &live->remains;
	const lb_time now = clock_now();

	/* a worker that is stuck may still be at it */
	if (!remains->any || now.ns < remains->look.ns || crew_has(&live->crew, remains))
		return;
	remains->look.ns = now.ns + REMAINS_LOOK_S * LB_NS_PER_S;
	remains->guard = live->guard;
	remains->rules = live->crew.workers.rules;
	remains->found = false;
	if (keep_all(live) < 0)
		return; /* what the guard keeps stays as it is until the next look */
	if (remains->found && !remains->said)
		log_info("connections go on by ports that the rules leave to the host: it gets "
		         "what is sent to these ports when the last one has ended");
	remains->said = remains->any = remains->found;
	guard_set_rules(live->guard, remains->rules);
}
