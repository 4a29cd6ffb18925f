/*
 * Limits for clients.
 *
 * cfg/README.md, "Limits for clients". Two purses for each client of a farm: SYNs are paid for from
 * one, what opens from the other one, whereupon the first has its money back. Where it can't be
 * told if a connection is open, everything about its client is possible from then on.
 */
#include "parts.h"

/* A /64 of IPv6 is one client. */
bool limits_model_is_same(const struct addr *a, const struct addr *b)
{
	return a->v6 == b->v6 && memcmp(a->b, b->b, a->v6 ? 8 : 4) == 0;
}

static struct limited *of(struct model *m, unsigned farm, const struct addr *client)
{
	const struct rules_farm *f = model_farm(m, farm);
	const double most = f->client_burst ? f->client_burst : f->client_rate;
	struct limited *l;
	double grown;

	for (l = m->limited; l < m->limited + m->nlimited; l++)
		if (l->farm == farm && limits_model_is_same(&l->client, client))
			break;
	if (l == m->limited + m->nlimited) {
		if (m->nlimited == MODEL_LIMITED)
			report_mismatch("the model can't remember more limited clients");
		m->nlimited++;
		*l = (struct limited){
		        .farm = farm, .client = *client, .asked = most, .opened = most};
	}
	grown = (double)(m->now - l->at) * f->client_rate / (double)LB_NS_PER_S;
	l->asked = l->asked + grown < most ? l->asked + grown : most;
	l->opened = l->opened + grown < most ? l->opened + grown : most;
	l->at = m->now;
	return l;
}

static bool is_listed(const struct addr *listed, const struct addr *client)
{
	return listed->b[0] && addr_eq(listed, client);
}

static bool is_exempt(const struct model *m, unsigned farm, const struct addr *client)
{
	return is_listed(&m->exempt[farm], client);
}

static bool is_limited(const struct model *m, unsigned farm, const struct addr *client)
{
	const struct rules_farm *f = model_farm(m, farm);

	return (f->client_connections || f->client_rate) && !is_exempt(m, farm, client);
}

/* Connections that the client has open, for sure or perhaps, but for one. */
static unsigned open_of(const struct model *m, unsigned farm, const struct addr *client,
                        const struct flow_model *but, bool for_sure)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];
		const bool open = f->life == LIFE_OPEN || f->life == LIFE_CLOSING;

		if (f == but || f->farm != farm || !limits_model_is_same(&f->client, client) ||
		    is_exempt(m, farm, &f->client))
			continue;
		n += for_sure ? open && f->surely_open
		              : open || (f->life == LIFE_HALF_OPEN && f->doubtful);
	}
	return n;
}

/* If an account has less than one; to a hair. */
static enum maybe is_short(const struct limited *l, double purse)
{
	if (l->unsure || (purse > 1 - 1e-6 && purse < 1 + 1e-6))
		return MAYBE;
	return purse < 1 ? YES : NO;
}

static enum maybe at_least(unsigned least, unsigned most, unsigned limit)
{
	return least >= limit ? YES : most >= limit ? MAYBE : NO;
}

/* The reasons for which the client may be refused now, as bits; *ret: if it must be. */
static uint64_t reasons(struct model *m, unsigned farm, const struct addr *client, enum maybe *ret)
{
	const struct rules_farm *f = model_farm(m, farm);
	struct limited *l = of(m, farm, client);
	const enum maybe blocked = !f->block_for_ms || m->now >= l->blocked_most ? NO
	                           : m->now < l->blocked_least                   ? YES
	                                                                         : MAYBE;
	const enum maybe full =
	        f->client_connections
	                ? at_least(open_of(m, farm, client, NULL, true),
	                           open_of(m, farm, client, NULL, false), f->client_connections)
	                : NO;
	const enum maybe spent = f->client_rate ? is_short(l, l->opened) : NO,
	                 asked = f->client_rate ? is_short(l, l->asked) : NO;
	const uint64_t all =
	        (blocked ? 1ull << WHY_CLIENT_BLOCKED : 0) |
	        (blocked != YES && full ? 1ull << WHY_CLIENT_CONNECTIONS : 0) |
	        (blocked != YES && full != YES && (spent || asked) ? 1ull << WHY_CLIENT_RATE : 0);

	*ret = blocked == YES || full == YES || spent == YES || asked == YES ? YES
	       : all                                                         ? MAYBE
	                                                                     : NO;
	return all;
}

/* Blocked he is if his own connections have used up what he has. */
static void note_refused(struct model *m, unsigned farm, const struct addr *client, uint64_t whys)
{
	const struct rules_farm *f = model_farm(m, farm);
	struct limited *l = of(m, farm, client);
	const enum maybe spent = is_short(l, l->opened);
	const uint64_t until = m->now + f->block_for_ms * LB_NS_PER_MS;

	if (!(whys >> WHY_CLIENT_RATE & 1) || !f->block_for_ms || spent == NO)
		return;
	model_counts(m, COUNTER_LIMITS_BLOCKS, spent == YES && whys == 1ull << WHY_CLIENT_RATE, 1);
	if (spent == YES && whys == 1ull << WHY_CLIENT_RATE && !l->unsure)
		l->blocked_least = until;
	l->blocked_most = until + LB_NS_PER_S / 10;
}

/* By one of these reasons, as bits. */
static void count_refused(struct model *m, uint64_t whys)
{
	static const struct {
		enum lb_why why;
		enum counter counter;
	} kinds[] = {{WHY_CLIENT_DENIED, COUNTER_LIMITS_DENIED},
	             {WHY_CLIENT_CONNECTIONS, COUNTER_LIMITS_CONNECTIONS},
	             {WHY_CLIENT_RATE, COUNTER_LIMITS_RATE},
	             {WHY_CLIENT_BLOCKED, COUNTER_LIMITS_BLOCKED}};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (whys >> kinds[i].why & 1)
			model_counts(m, kinds[i].counter, whys == 1ull << kinds[i].why, 1);
}

bool limits_model_refuses(struct model *m, const struct seen *s, const struct verdict *v,
                          unsigned farm)
{
	const struct rules_farm *f = model_farm(m, farm);
	const bool said = (v->why >= WHY_CLIENT_DENIED && v->why <= WHY_CLIENT_BLOCKED) ||
	                  v->why == WHY_CLIENT_DROPPED;
	const bool denied = is_listed(&m->denied[farm], &s->src);
	enum maybe must = denied ? YES : NO;
	uint64_t whys = denied ? 1ull << WHY_CLIENT_DENIED : 0;

	if (!denied && is_limited(m, farm, &s->src))
		whys = reasons(m, farm, &s->src, &must);
	if (must == NO && said)
		report_mismatch("a client is refused, and shouldn't be");
	if (must == NO || (must == MAYBE && !said && v->why != WHY_RST_LIMITED))
		return false;
	m->counts.counters[COUNTER_FLOWS_REFUSED]++;
	if (f->on_limit == ON_LIMIT_DROP) {
		if (v->why != WHY_CLIENT_DROPPED || !(whys >> v->limit & 1))
			report_mismatch("%s instead of client_dropped",
			                lb_why_name((enum lb_why)v->why));
		whys = 1ull << v->limit;
	} else {
		rates_model_note(m, WHY_NO_SERVER, &s->src, v->why != WHY_RST_LIMITED);
		if (v->why != WHY_RST_LIMITED && !(whys >> v->why & 1))
			report_mismatch("the limit of a client is another one than %s",
			                lb_why_name((enum lb_why)v->why));
		if (v->why != WHY_RST_LIMITED) {
			answers_model_check(m, s, v);
			whys = 1ull << v->why;
		}
	}
	count_refused(m, whys);
	if (!denied)
		note_refused(m, farm, &s->src, whys);
	return true;
}

void limits_model_begun(struct model *m, unsigned farm, const struct addr *client)
{
	if (model_farm(m, farm)->client_rate && is_limited(m, farm, client))
		of(m, farm, client)->asked -= 1;
}

enum maybe limits_model_opened(struct model *m, const struct flow_model *f, bool surely)
{
	const struct rules_farm *farm = model_farm(m, f->farm);
	struct limited *l = is_limited(m, f->farm, &f->client) ? of(m, f->farm, &f->client) : NULL;

	if (!l)
		return NO;
	l->asked += 1;
	l->opened -= 1;
	l->unsure |= !surely;
	return farm->client_connections ? at_least(open_of(m, f->farm, &f->client, f, true),
	                                           open_of(m, f->farm, &f->client, f, false),
	                                           farm->client_connections)
	                                : NO;
}
