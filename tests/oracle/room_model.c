/*
 * Places in the table: who has to go so that a new flow finds one.
 */
#include "parts.h"

/* Whose oldest half-open flow it is about. */
enum among { OF_ALL, OF_SERVER, OF_POOL };

static bool is_among(const struct model *m, const struct flow_model *f,
                     const struct flow_model *flow, enum among among)
{
	if (among == OF_ALL)
		return true;
	if (among == OF_SERVER)
		return f->server == flow->server;
	return flows_model_share_server(m, f, flow) && addr_eq(&f->snat, &flow->snat) &&
	       ports_model_has_pool(m, f) &&
	       ports_model_may_ever(m, f->farm, &f->snat, f->snat_port);
}

/* If the flow may be the oldest half-open one of these. */
static bool may_be_oldest(const struct model *m, const struct flow_model *flow, enum among among)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (flows_model_is_half_open(f) == YES && f->order < flow->order &&
		    is_among(m, f, flow, among))
			return false;
	}
	return flows_model_is_half_open(flow) != NO;
}

/* If the flow may have made way for a new one at the server, for the sake of any of these. */
static bool may_make_way(const struct model *m, const struct flow_model *f, unsigned farm,
                         unsigned server, unsigned service)
{
	const bool for_table = flows_model_half_open(m, false) >= m->rules->max_half_open,
	           for_server = f->server == server && choice_model_is_full(m, server),
	           for_port = flows_model_goes_to(m, f, server, service) &&
	                      ports_model_none_free(m, farm, server, service) &&
	                      !ports_model_longest_resting(m, server, service, NULL);

	return (for_table && may_be_oldest(m, f, OF_ALL)) ||
	       (for_server && may_be_oldest(m, f, OF_SERVER)) ||
	       (for_port && may_be_oldest(m, f, OF_POOL));
}

/* Half-open flows make way for a new one, one after the other. */
void room_model_take_evicted(struct model *m, unsigned farm, unsigned server, unsigned service)
{
	m->made_room = false;
	while (model_next_ended(m) && model_next_ended(m)->why == ENDED_EVICTED) {
		struct flow_model *f = flows_model_of_record(m, model_next_ended(m));

		if (!f || !flows_model_is_counted(f, model_next_ended(m)))
			return; /* it was for the sake of a later SYN */
		if (!may_make_way(m, f, farm, server, service))
			report_mismatch("flow %u was evicted for nothing", f->name);
		m->made_room = true;
		flows_model_end(m, f, ENDED_EVICTED);
		flows_model_remove(m, f);
	}
}

static struct flow_model *longest_resting(struct model *m)
{
	struct flow_model *ret = NULL;

	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].life == LIFE_RESTING && (!ret || m->flows[i].order < ret->order))
			ret = &m->flows[i];
	return ret;
}

static void doubt_resting(struct model *m)
{
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].life == LIFE_RESTING)
			m->flows[i].there = MAYBE;
}

static void forget_doubted(struct model *m)
{
	for (unsigned i = m->nflows; i-- > 0;)
		if (m->flows[i].life == LIFE_RESTING && m->flows[i].there != YES)
			flows_model_remove(m, &m->flows[i]);
}

/*
 * The table must have a place for one more: else the one that has rested for longest is given up.
 * Where places were short, and one came free with the port, it may have been given up before that.
 */
void room_model_make(struct model *m, bool was_short)
{
	const unsigned live = flows_model_live(m), size = model_places(m);

	if (live >= size)
		report_mismatch("a flow was made in a full table");
	if (live + flows_model_resting(m, true) < size) {
		if (was_short || live + flows_model_resting(m, false) >= size) {
			model_counts(m, COUNTER_FLOWS_QUARANTINE_CUT, 0, 1);
			doubt_resting(m);
		}
		return;
	}
	forget_doubted(m); /* there is no place where they might be */
	model_counts(m, COUNTER_FLOWS_QUARANTINE_CUT, 1, 1);
	flows_model_remove(m, longest_resting(m));
}

bool room_model_is_short(const struct model *m)
{
	return flows_model_live(m) + flows_model_resting(m, false) >= model_places(m);
}

/* The flow whose server's tuple the new one gets is no more. */
void room_model_replace(struct model *m, const struct flow_model *new)
{
	for (unsigned i = m->nflows; i-- > 0;) {
		struct flow_model *f = &m->flows[i];
		bool same_client =
		        f->farm == new->farm && f->vip_port == new->vip_port &&
		        f->client_port == new->client_port &&addr_eq(&f->client, &new->client);

		if (flows_model_goes_to(m, f, new->server, new->service) &&
		    f->snat_port == new->snat_port && addr_eq(&f->snat, &new->snat)) {
			model_counts(m, COUNTER_FLOWS_QUARANTINE_CUT,
			             f->there == YES && !same_client, 1);
			flows_model_remove(m, f);
		} else if (same_client && f->listed) {
			f->listed = false;
		}
	}
}
