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

/* If no server in service has been all good later than that. */
static bool none_good_after(const struct model *m, const struct rules_farm *f, uint64_t when)
{
	uint64_t latest = 0;

	for (unsigned s = f->server; s < f->server + f->nservers; s++)
		if (m->rules->servers[s].state != STATE_DISABLED && !m->rules->servers[s].gone &&
		    m->servers[s].all_good > latest)
			latest = m->servers[s].all_good;
	return latest <= when;
}

/* If one that is up stays so whatever its check says, which has failed now. */
static bool is_kept(const struct model *m, const struct rules_farm *f, unsigned server,
                    const struct check_model *c)
{
	const struct rules_server *rule = &m->rules->servers[server];
	const uint64_t since = c->streak ? c->since : m->results;

	return f->all_down == ALL_DOWN_KEEP && rule->state != STATE_DISABLED && !rule->gone &&
	       (all_fail(m, f) || none_good_after(m, f, since));
}

/* What is known of the check after another result. */
static void note_result(struct check_model *c, const struct rules_farm *f, bool ok, bool kept,
                        uint64_t result)
{
	if (!c->streak)
		c->since = result;
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

static bool is_all_good(const struct server_model *s, unsigned nchecks)
{
	bool ret = true;

	for (unsigned c = 0; c < nchecks; c++)
		ret &= !s->checks[c].failed;
	return ret;
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
	m->results++;
	s->checks[check].failed = !ok;
	if (is_all_good(s, f->nchecks))
		s->all_good = m->results;
	note_result(&s->checks[check], f, ok, is_kept(m, f, server, &s->checks[check]), m->results);
	want = verdict_of(s, f->nchecks);
	if (want != health || changed != (want != s->health))
		report_mismatch("server %u is %s, expected %s (it was %s, changed is %d)", server,
		                health_name(health), health_name(want), health_name(s->health),
		                changed);
	if (want != s->health)
		change(m, server, want);
}
