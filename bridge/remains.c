/*
 * Which packets to addresses that the host has itself are tmbridge's say the rules alone
 * (lb/local.h), and the guard keeps those from the host's stack. But flows go on though a reload
 * has given up their service, or their SNAT port: so their ports are added to what the guard keeps,
 * one by one, as long as there are such flows.
 */
#include "remains.h"

#include "process/clock.h"

/* How often it is looked for flows that are left, of which each takes a look. */
enum { REMAINS_LOOK_S = 30 };

struct remains {
	struct guard *guard;
	const struct rules *rules;
	bool any; /* a flow has a port that the rules leave to the host */
};

static void keep(void *ctx, const struct tuple arrive[2])
{
	struct remains *remains = ctx;

	remains->any |= guard_keep(remains->guard, remains->rules, arrive);
}

/* Has the guard keep what flows need beyond the rules that it is prepared for. True if that is
 * anything. */
static bool keep_all(const struct live *live, const struct rules *rules)
{
	struct remains remains = {.guard = live->guard, .rules = rules};

	workers_look_at_flows(&live->crew.workers, keep, &remains);
	return remains.any;
}

void remains_note(struct live *live, const struct rules *rules)
{
	live->remains = guard_gives_up(live->guard, rules) && keep_all(live, rules);
}

void remains_look(struct live *live)
{
	const struct rules *rules = live->crew.workers.rules;
	const lb_time now = clock_now();

	if (!live->remains || now.ns < live->remains_look.ns)
		return;
	live->remains_look.ns = now.ns + REMAINS_LOOK_S * LB_NS_PER_S;
	if (guard_prepare_rules(live->guard, rules) < 0)
		return;
	/* flows that the workers begin meanwhile have ports of these rules */
	live->remains = keep_all(live, rules);
	guard_set_rules(live->guard, rules);
}
