/*
 * Health: results in a row, of each checked port.
 */
#include "parts.h"

/* If there is no server of the farm that is in service and whose last results are all good. */
static bool all_fail(const struct model *m, const struct rules_farm *f)
{
	for (unsigned i = 0; i < f->nservers; i++) {
		const struct rules_server *rule = &m->rules->servers[f->server + i];
		bool good = rule->state != STATE_DISABLED && !rule->gone;

		for (unsigned c = 0; c < f->nchecks; c++)
			if (m->servers[f->server + i].checks[c].failed)
				good = false;
		if (good)
			return false;
	}
	return true;
}

/* If one that is up stays so whatever its checks say. */
static bool is_kept(const struct model *m, const struct rules_farm *f, unsigned server)
{
	const struct rules_server *rule = &m->rules->servers[server];

	return f->all_down == ALL_DOWN_KEEP && rule->state != STATE_DISABLED && !rule->gone &&
	       all_fail(m, f);
}

/* What is known of the check after another result. */
static void note_result(struct check_model *c, const struct rules_farm *f, bool ok, bool kept)
{
	if (c->up == MAYBE && ok) {
		c->up = YES; /* at start the first is enough */
		c->streak = 0;
	} else if ((c->up == YES) == ok && c->up != MAYBE) {
		c->streak = 0;
	} else if (++c->streak >= (ok ? f->rise : f->fall) && !(kept && c->up == YES)) {
		c->up = ok ? YES : NO;
		c->streak = 0;
	}
}

static enum health_verdict verdict_of(const struct server_model *s, unsigned nchecks)
{
	enum health_verdict ret = HEALTH_UP;

	for (unsigned i = 0; i < nchecks; i++) {
		if (s->checks[i].up == NO)
			return HEALTH_DOWN;
		if (s->checks[i].up == MAYBE)
			ret = HEALTH_UNKNOWN;
	}
	return ret;
}

/* All flows of the server, or those only that aren't open. */
static void condemn(struct model *m, unsigned server, bool all)
{
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].server == server && m->flows[i].life != LIFE_RESTING &&
		    (all || m->flows[i].life == LIFE_HALF_OPEN || m->flows[i].doubtful))
			m->flows[i].condemned = true;
}

static void change(struct model *m, unsigned server, enum health_verdict to)
{
	struct server_model *s = &m->servers[server];
	const struct rules_farm *f = model_farm(m, m->rules->servers[server].farm);

	if (to == HEALTH_UP && (s->health == HEALTH_DOWN || s->late)) {
		s->returned = true;
		s->since = m->now;
	}
	s->health = to;
	if (to == HEALTH_DOWN)
		sticky_model_server_out(m, server);
	if (to == HEALTH_DOWN)
		condemn(m, server, f->on_down == ON_DOWN_RESET);
}

void model_probed(struct model *m, unsigned server, unsigned check, bool ok, bool changed,
                  enum health_verdict health, lb_time now)
{
	struct server_model *s = &m->servers[server];
	const struct rules_farm *f = model_farm(m, m->rules->servers[server].farm);
	enum health_verdict want;

	m->now = now.ns;
	s->ok += ok;
	s->failed += !ok;
	s->checks[check].failed = !ok;
	note_result(&s->checks[check], f, ok, is_kept(m, f, server));
	want = verdict_of(s, f->nchecks);
	if (want != health || changed != (want != s->health))
		report_mismatch("server %u is %s, expected %s (it was %s, changed is %d)", server,
		                health_name(health), health_name(want), health_name(s->health),
		                changed);
	if (want != s->health)
		change(m, server, want);
}
