/*
 * Places in the table: who has to go so that a new flow finds one.
 */
#include "parts.h"

static bool may_be_half_open(const struct flow_model *f)
{
	return f->life == LIFE_HALF_OPEN ||
	       (f->life != LIFE_RESTING && f->doubtful && !f->surely_open);
}

/* If the flow may be the oldest half-open one: in the table, or of its server and service. */
static bool may_be_oldest(const struct model *m, const struct flow_model *flow, bool of_pool)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->life == LIFE_HALF_OPEN && !f->doubtful && f->order < flow->order &&
		    (!of_pool || (f->server == flow->server && f->service == flow->service)))
			return false;
	}
	return may_be_half_open(flow);
}

static bool half_open_full(const struct model *m, bool for_sure)
{
	return flows_model_half_open(m, for_sure) >=
	       m->rules->max_connections / BALANCE_HALF_OPEN_SHARE;
}

/*
 * If a half-open flow must go for the table's sake: there are too many, or no place is left. Who
 * rests goes first: it takes nothing from anybody.
 */
static bool table_needs_room(const struct model *m, bool for_sure)
{
	return half_open_full(m, for_sure) ||
	       (!flows_model_resting(m, true) &&
	        flows_model_live(m) + flows_model_resting(m, false) >= m->rules->max_connections);
}

/* Half-open flows make room for a new one: the oldest, in the table or among those of its ports. */
void room_model_take_evicted(struct model *m, unsigned farm, unsigned service)
{
	bool again = false;

	m->made_room = false;
	while (model_next_ended(m) && model_next_ended(m)->why == ENDED_EVICTED) {
		struct flow_model *f = flows_model_of_record(m, model_next_ended(m));
		bool pool = f && f->farm == farm && f->service == service &&
		            ports_model_none_free(m, farm, f->server, service) &&
		            !ports_model_longest_resting(m, f->server, service);

		if (!f || !flows_model_is_counted(f, model_next_ended(m)) ||
		    (!(table_needs_room(m, again) && may_be_oldest(m, f, false)) &&
		     !(pool && may_be_oldest(m, f, true))))
			return; /* it was for the sake of a later SYN, or for nothing */
		again = m->made_room = true;
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
	const unsigned live = flows_model_live(m), size = m->rules->max_connections;

	if (live >= size)
		report_mismatch("a flow was made in a full table");
	if (live + flows_model_resting(m, true) < size) {
		if (was_short || live + flows_model_resting(m, false) >= size) {
			m->cuts_most++;
			doubt_resting(m);
		}
		return;
	}
	forget_doubted(m); /* there is no place where they might be */
	m->cuts_most++;
	m->cuts_least++;
	flows_model_remove(m, longest_resting(m));
}

bool room_model_is_short(const struct model *m)
{
	return flows_model_live(m) + flows_model_resting(m, false) >= m->rules->max_connections;
}

/* The flow whose server's tuple the new one gets is no more. */
void room_model_replace(struct model *m, const struct flow_model *new)
{
	for (unsigned i = m->nflows; i-- > 0;) {
		struct flow_model *f = &m->flows[i];
		bool same_client =
		        f->listed && f->farm == new->farm && f->service == new->service &&
		        f->client_port == new->client_port &&addr_eq(&f->client, &new->client);

		if (f->server == new->server && f->service == new->service &&
		    f->snat_port == new->snat_port &&addr_eq(&f->snat, &new->snat)) {
			m->cuts_most++;
			m->cuts_least += f->there == YES && !same_client;
			flows_model_remove(m, f);
		} else if (same_client) {
			f->listed = false;
		}
	}
}
