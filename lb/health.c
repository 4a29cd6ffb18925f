/*
 * Health verdicts.
 *
 * Each checked port has a verdict of its own, which changes after `fall` failures or `rise`
 * successes in a row; out of the unknown the first success is enough. A server is up while all its
 * checks are, and down as soon as one is. With `all_down = keep` a check that is up stays so while
 * each server of the farm fails, by the last probe of some check: then it is more likely that
 * tmbridge itself is cut off. As soon as one server is good again, the others go down with their
 * next failure. And the first one to fail doesn't go down before another server has had a good
 * probe since then: with `fall = 1` or 2 it may have failed that often before the others were
 * probed once. What a probe is, and when it is sent, is bridge/'s business.
 */
#include "health.h"

void health_lay_out(struct health *health, struct arena *arena, const struct rules *rules,
                    lb_time now)
{
	uint32_t nchecks = 0;

	health->rules = rules;
	health->changes = health->reports = 0;
	health->servers = arena_take(arena, rules->nservers, sizeof(*health->servers));
	health->farms = arena_take_zeroed(arena, rules->nfarms, sizeof(*health->farms));
	for (unsigned s = 0; s < rules->nservers; s++) {
		unsigned n = rules->farms[rules->servers[s].farm].nchecks;

		if (health->servers)
			health->servers[s] =
			        (struct health_server){.verdict = n ? HEALTH_UNKNOWN : HEALTH_UP,
			                               .since = now,
			                               .check = nchecks,
			                               .agent = agent_silent()};
		if (health->farms && !rules_is_left(&rules->servers[s]))
			health->farms[rules->servers[s].farm].servers++;
		nchecks += n;
	}
	health->checks = arena_take_zeroed(arena, nchecks, sizeof(*health->checks));
}

static struct health_farm *farm_of(const struct health *health, unsigned server)
{
	return &health->farms[health->rules->servers[server].farm];
}

static const struct rules_farm *rule_of(const struct health *health, unsigned server)
{
	return &health->rules->farms[health->rules->servers[server].farm];
}

/* If each of the farm's servers fails. */
static bool all_fail(const struct health_farm *farm)
{
	return farm->failing == farm->servers;
}

/* If another server of the farm has been good since the check began to fail. */
static bool has_witness(const struct health *health, unsigned server,
                        const struct health_check *check)
{
	const struct rules_farm *rule = rule_of(health, server);

	for (unsigned s = rule->server; s < rule->server + rule->nservers; s++)
		if (health->servers[s].good > check->began &&
		    !rules_is_left(&health->rules->servers[s]))
			return true;
	return false;
}

/* If the server stays up in spite of the check's failure, by `all_down = keep`. */
static bool keeps(const struct health *health, unsigned server, const struct health_check *check)
{
	return rule_of(health, server)->all_down == ALL_DOWN_KEEP &&
	       health->servers[server].failing &&
	       (all_fail(farm_of(health, server)) || !has_witness(health, server, check));
}

static void note_streak(struct health *health, struct health_check *check)
{
	if (!check->streak)
		check->began = health->reports;
	check->streak += check->streak < UINT32_MAX;
}

static void judge_check(struct health *health, unsigned server, struct health_check *check, bool ok)
{
	const struct rules_farm *farm = rule_of(health, server);
	enum health_verdict says = ok ? HEALTH_UP : HEALTH_DOWN;
	uint32_t needed = ok ? farm->rise : farm->fall;

	check->foreign &= !ok;
	if (check->verdict == says || check->foreign) {
		check->streak = 0;
		return;
	}
	note_streak(health, check);
	if (check->verdict == HEALTH_UNKNOWN && ok)
		needed = 1;
	if (check->streak < needed || (check->verdict == HEALTH_UP && keeps(health, server, check)))
		return;
	check->verdict = (uint8_t)says;
	check->streak = 0;
}

/* What its checks alone say of a server. */
static enum health_verdict judge_checks(const struct health *health, unsigned server)
{
	const struct health_check *checks = &health->checks[health->servers[server].check];
	const unsigned n = rule_of(health, server)->nchecks;
	enum health_verdict verdict = HEALTH_UP;

	for (unsigned i = 0; i < n; i++) {
		if (checks[i].verdict == HEALTH_DOWN)
			return HEALTH_DOWN;
		if (checks[i].verdict == HEALTH_UNKNOWN)
			verdict = HEALTH_UNKNOWN;
	}
	return verdict;
}

static enum health_verdict judge_server(const struct health *health, unsigned server)
{
	const struct health_server *state = &health->servers[server];

	if (state->forced != HEALTH_UNKNOWN)
		return (enum health_verdict)state->forced;
	return state->agent.down ? HEALTH_DOWN : judge_checks(health, server);
}

/* Counts the server among those of its farm that fail, and among those that are kept. */
static void count(struct health *health, unsigned server, bool was_kept)
{
	const struct rules_farm *rule = rule_of(health, server);
	struct health_server *state = &health->servers[server];
	const struct health_check *checks = &health->checks[state->check];
	struct health_farm *farm = farm_of(health, server);
	bool failing = false, kept = false;

	for (unsigned i = 0; i < rule->nchecks; i++) {
		failing |= checks[i].failed;
		kept |= checks[i].verdict == HEALTH_UP && checks[i].streak >= rule->fall;
	}
	if (rules_is_left(&health->rules->servers[server]))
		failing = kept = false;
	farm->failing = (uint16_t)(farm->failing + failing - state->failing);
	kept &= was_kept || all_fail(farm);
	farm->kept = (uint16_t)(farm->kept + kept - state->kept);
	state->failing = failing;
	state->kept = kept;
}

/* Sets the server's verdict to what follows from its checks, its agent and an operator's word. True
 * if it has changed. */
static bool change(struct health *health, unsigned server, lb_time now)
{
	struct health_server *state = &health->servers[server];
	const enum health_verdict was = health_of(health, server);
	const enum health_verdict is = judge_server(health, server);

	if (is == was)
		return false;
	health->changes++;
	state->verdict = (uint8_t)is;
	state->since = now;
	if (is == HEALTH_UP && (was == HEALTH_DOWN || state->late))
		state->ramp = now;
	return true;
}

bool health_report(struct health *health, unsigned server, unsigned check, bool ok, lb_time now)
{
	struct health_server *state = &health->servers[server];

	health->reports++;
	state->probes_ok += ok;
	state->probes_failed += !ok;
	health->checks[state->check + check].failed = !ok;
	count(health, server, state->kept);
	if (!state->failing)
		state->good = health->reports;
	judge_check(health, server, &health->checks[state->check + check], ok);
	count(health, server, state->kept);
	return change(health, server, now);
}

bool health_agent(struct health *health, unsigned server, const struct agent *agent, lb_time now)
{
	if (!agent_eq(&health->servers[server].agent, agent))
		health->changes++;
	health->servers[server].agent = *agent;
	return change(health, server, now);
}

bool health_force(struct health *health, unsigned server, enum health_verdict verdict, lb_time now)
{
	health->servers[server].forced = (uint8_t)verdict;
	return change(health, server, now);
}

bool health_in_doubt(const struct health *health, unsigned server, unsigned check)
{
	return health->checks[health->servers[server].check + check].streak > 0;
}

#define HEALTH_STEP_NS (HEALTH_RAMP_S * LB_NS_PER_S / HEALTH_RAMP_STEPS)

void health_recall(struct health *health, unsigned server, const struct agent *agent, lb_time ramp)
{
	health->servers[server].agent = *agent;
	health->servers[server].ramp = ramp;
	health->changes++;
}

unsigned health_ramp(const struct health *health, unsigned server, lb_time now)
{
	lb_time began = health->servers[server].ramp;
	uint64_t step;

	if (!began.ns)
		return HEALTH_RAMP_STEPS;
	step = 1 + (now.ns - began.ns) / HEALTH_STEP_NS;
	return step < HEALTH_RAMP_STEPS ? (unsigned)step : HEALTH_RAMP_STEPS;
}

lb_time health_ramp_until(const struct health *health, unsigned server, lb_time now)
{
	unsigned step = health_ramp(health, server, now);

	if (step == HEALTH_RAMP_STEPS)
		return (lb_time){UINT64_MAX};
	return (lb_time){health->servers[server].ramp.ns + step * HEALTH_STEP_NS};
}

/* If what old says of the server isn't believed: it wasn't checked there, or is disabled now and
 * was not. One that was so already is checked while it has flows. */
static bool is_unchecked(const struct health *health, unsigned to_server, const struct health *old,
                         unsigned from_server)
{
	const struct rules_server *to = &health->rules->servers[to_server];
	const struct rules_server *from = &old->rules->servers[from_server];

	return rules_is_left(from) ? !rules_is_left(to) : to->state == STATE_DISABLED;
}

void health_inherit(struct health *health, unsigned to_server, const struct health *old,
                    unsigned from_server)
{
	const struct rules_farm *to = &health->rules->farms[health->rules->servers[to_server].farm];
	const struct rules_farm *from = &old->rules->farms[old->rules->servers[from_server].farm];
	struct health_server *state = &health->servers[to_server];
	const struct health_server *before = &old->servers[from_server];
	const enum health_verdict by_checks = judge_checks(old, from_server);
	uint32_t first = state->check;

	health->reports = old->reports;
	state->probes_ok = before->probes_ok;
	state->probes_failed = before->probes_failed;
	state->forced = before->forced;
	if (is_unchecked(health, to_server, old, from_server)) {
		state->verdict = (uint8_t)judge_server(health, to_server);
		return;
	}
	for (unsigned t = 0; t < to->nchecks; t++) {
		/* a server that its checks call up stays so until one that is new has failed */
		health->checks[first + t].verdict =
		        by_checks == HEALTH_UP ? HEALTH_UP : HEALTH_UNKNOWN;
		health->checks[first + t].foreign = health->rules->servers[to_server].gone;
		for (unsigned f = 0; f < from->nchecks; f++)
			if (be16_eq(to->checks[t], from->checks[f]) &&
			    script_eq(rules_script(health->rules, to, t),
			              rules_script(old->rules, from, f)))
				health->checks[first + t] = old->checks[before->check + f];
		health->checks[first + t].foreign &= health->rules->servers[to_server].gone;
	}
	health->changes++;
	*state = *before;
	state->check = first;
	state->failing = state->kept = false; /* not counted yet */
	if (!be16_eq(to->agent, from->agent))
		state->agent = agent_silent();
	count(health, to_server, before->kept);
	state->verdict = (uint8_t)judge_server(health, to_server);
}

const char *health_name(enum health_verdict verdict)
{
	static const char *const names[] = {
	        [HEALTH_UNKNOWN] = "unknown", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down"};

	return names[verdict];
}
