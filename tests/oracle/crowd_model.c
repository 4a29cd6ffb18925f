/*
 * A server that is full of connections which aren't open: who is known is let in at once.
 *
 * bridge/OPERATING.md, "Constants".
 */
#include "parts.h"

/* If half or more of the server's connections, and 16 at least, are half-open. */
static enum maybe is_crowded(const struct model *m, unsigned server)
{
	const unsigned all = choice_model_connections(m, server);
	unsigned n[3] = {0};

	for (unsigned i = 0; i < m->nflows; i++)
		n[flows_model_is_half_open(&m->flows[i])] += m->flows[i].server == server;
	if (n[YES] >= 16 && 2 * n[YES] >= all)
		return YES;
	return n[YES] + n[MAYBE] >= 16 && 2 * (n[YES] + n[MAYBE]) >= all ? MAYBE : NO;
}

enum maybe crowd_model_may_make_room(struct model *m, const struct flow_model *f,
                                     const struct addr *client)
{
	return flows_model_is_half_open(f) != NO && known_model_is(m, client) != NO &&
	                       known_model_is(m, &f->client) != YES && is_crowded(m, f->server)
	               ? MAYBE
	               : NO;
}

/* Of the server: the flow that is half-open for sure, and for longest. */
static const struct flow_model *oldest(const struct model *m, unsigned server)
{
	const struct flow_model *ret = NULL;

	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->server == server && flows_model_is_half_open(f) == YES &&
		    (!ret || f->order < ret->order))
			ret = f;
	}
	return ret;
}

bool crowd_model_makes_room(struct model *m, unsigned s, const struct addr *client)
{
	const struct flow_model *first = oldest(m, s);

	if (is_crowded(m, s) != YES || !known_model_counts(m, client))
		return false;
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->server == s && flows_model_is_half_open(f) != NO &&
		    f->order <= first->order && known_model_is(m, &f->client) != NO)
			return false;
	}
	return true;
}
