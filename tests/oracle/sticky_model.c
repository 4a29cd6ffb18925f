/*
 * Clients that stick to their servers.
 */
#include "parts.h"

static struct sticky *sticky_of(struct model *m, unsigned server, const struct addr *client)
{
	for (unsigned i = 0; i < m->nstickies; i++)
		if (m->stickies[i].server == server && addr_eq(&m->stickies[i].client, client))
			return &m->stickies[i];
	return NULL;
}

void sticky_model_used(struct model *m, const struct flow_model *f)
{
	struct sticky *sticky =
	        model_farm(m, f->farm)->persist_ms ? sticky_of(m, f->server, &f->client) : NULL;

	if (sticky)
		sticky->used = m->now;
}

/* If the client must, or may, be given this server of his again; out of those that have room for
 * sure. */
static enum maybe sticks_to(const struct model *m, const struct sticky *sticky, uint32_t candidates)
{
	const struct rules_server *server = model_server(m, sticky->server);
	const uint64_t persist = model_farm(m, server->farm)->persist_ms * LB_NS_PER_MS;

	if (m->servers[sticky->server].health != HEALTH_UP || !server->weight ||
	    server->state > STATE_LAST_RESORT || m->now > sticky->used + persist + MODEL_LATE_NS)
		return NO;
	if (!(candidates >> sticky->server & 1) || sticky->evicted != m->stickies_evicted ||
	    m->now + 2 * MODEL_EARLY_NS > sticky->noted + persist)
		return MAYBE;
	return YES;
}

void sticky_model_server_out(struct model *m, unsigned server)
{
	for (unsigned i = 0; i < m->nstickies; i++)
		if (m->stickies[i].server == server)
			m->stickies[i].noted = 0;
}

/* Servers that the client may stick to, as bits: of several that he had, one. Or must: *ret_must.
 * Those that have room for sure, and those that may. */
uint32_t sticky_model_candidates(const struct model *m, unsigned farm, const struct addr *client,
                                 uint32_t candidates, uint32_t possible, bool *ret_must)
{
	uint32_t ret = 0;

	*ret_must = false;
	for (unsigned i = 0; i < m->nstickies; i++) {
		const struct sticky *sticky = &m->stickies[i];
		enum maybe does = NO;

		if (model_server(m, sticky->server)->farm == farm &&
		    addr_eq(&sticky->client, client))
			does = sticks_to(m, sticky, candidates);
		*ret_must |= does == YES;
		ret |= does == NO ? 0 : 1u << sticky->server;
	}
	return ret & (candidates | possible);
}

/* That the client has this server, as far as it matters. */
struct sticky *sticky_model_add(struct model *m, const struct addr *client, unsigned server)
{
	struct sticky *sticky = sticky_of(m, server, client);

	if (sticky)
		return sticky;
	if (m->nstickies == MODEL_STICKIES)
		report_mismatch("the model can't remember more clients");
	sticky = &m->stickies[m->nstickies++];
	*sticky = (struct sticky){.server = server, .client = *client};
	return sticky;
}

/* He sticks to the server of a connection that is open; before that he may. */
void sticky_model_opened(struct model *m, const struct flow_model *f, bool surely)
{
	struct sticky *sticky;

	if (!model_farm(m, f->farm)->persist_ms)
		return;
	/* he need not be given again what he had before */
	for (unsigned i = 0; i < m->nstickies; i++)
		if (model_server(m, m->stickies[i].server)->farm == f->farm &&
		    addr_eq(&m->stickies[i].client, &f->client))
			m->stickies[i].noted = 0;
	sticky = sticky_model_add(m, &f->client, f->server);
	sticky->used = m->now;
	if (surely && choice_model_may_take(m, f->server)) {
		sticky->noted = m->now;
		sticky->evicted = m->stickies_evicted_before;
	}
}
