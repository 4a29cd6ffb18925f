/*
 * TCP to us: of which flow it is, if any, and what follows from that.
 */
#include "judge.h"

static bool is_probe_reply(const struct model *m, const struct seen *s)
{
	bool server = false;

	for (unsigned i = 0; i < m->rules->nservers; i++) {
		struct addr a = addr_of_server(m->rules, i);

		server |= addr_eq(&a, &s->src) && model_has_server(m, i, &s->from);
	}
	return server && s->dport >= RULES_PROBE_PORT &&
	       s->dport < RULES_PROBE_PORT + RULES_PROBE_PORTS;
}

int judge_service_of(const struct model *m, const struct seen *s, unsigned *ret_farm)
{
	if (model_farm_of(m, &s->dst, &s->from, true) < 0)
		return -1;
	for (unsigned f = 0; f < m->rules->nfarms; f++) {
		struct addr vip = addr_of_vip(m->rules, f);

		*ret_farm = f;
		for (unsigned i = 0; addr_eq(&vip, &s->dst) && i < model_farm(m, f)->nports; i++)
			if (be16_get(model_farm(m, f)->ports[i]) == s->dport)
				return (int)i;
	}
	return -1;
}

bool judge_is_syn(const struct seen *s)
{
	return (s->flags & (SYN | ACK | RST | FIN)) == SYN;
}

static void judge_no_flow(struct model *m, const struct frame *before, const struct frame *after,
                          const struct seen *s, const struct verdict *v)
{
	uint64_t odds = judge_odd(m, s, true);
	unsigned farm = 0;
	int service = judge_service_of(m, s, &farm);

	if (s->ip_damage && v->why == WHY_BAD_CHECKSUM)
		return;
	if (judge_is_syn(s) && service >= 0) {
		judge_syn(m, before, after, s, v, farm, (unsigned)service);
	} else if (is_probe_reply(m, s)) {
		judge_why(v, BIT(WHY_PROBE) | odds);
	} else if (s->flags & RST) {
		judge_why(v, BIT(WHY_RST_NO_FLOW) | odds);
	} else if (odds) {
		judge_why(v, odds);
	} else {
		judge_rst(m, s, v, judge_is_syn(s) ? WHY_PORT_NOT_SERVED : WHY_NO_FLOW);
	}
}

/* A late packet of a flow in quarantine, or of one that isn't any more. */
static void judge_late(struct model *m, struct flow_model *f, enum end end,
                       const struct frame *before, const struct frame *after, const struct seen *s,
                       const struct verdict *v)
{
	if (v->why == WHY_FLOW_HIT) {
		judge_hit(m, f, end, before, after, s, v);
		return;
	}
	if (f->reset_by_us && v->why != WHY_NOT_OURS && v->why != WHY_TO_HOST) {
		judge_no_flow(m, before, after, s, v); /* who missed his RST gets another one */
		return;
	}
	if (f->there == YES)
		report_mismatch("a late packet of a flow in quarantine: %s",
		                lb_why_name((enum lb_why)v->why));
	flows_model_remove(m, f);
	if (judge_is_for_us(m, s))
		judge_no_flow(m, before, after, s, v);
	else
		judge_other(m, s, v);
}

/* The live flow f is given up for a SYN if its server is down; what was open stays beside. */
static void give_way(struct model *m, const struct flow_model *f)
{
	const struct ended *next = model_next_ended(m);
	const bool evicted = next && next->why == ENDED_EVICTED &&
	                     flows_model_of_record(m, next) == f && flows_model_is_counted(f, next);

	if (!evicted && f->life == LIFE_HALF_OPEN && !f->doubtful)
		report_mismatch("flow %u is half-open and hasn't made way", f->name);
	if (evicted && f->life != LIFE_HALF_OPEN && !f->doubtful)
		report_mismatch("flow %u was open and hasn't been kept", f->name);
	if (!evicted)
		return;
	flows_model_end(m, (struct flow_model *)f, ENDED_EVICTED);
	flows_model_remove(m, (struct flow_model *)f);
}

/* A VLAN by all tags: their kinds and IDs, but for priorities. 0: none, which a tag may say as well
 * (IEEE 802.1Q, priority tags). */
static uint64_t vlan_of(const struct hop *hop)
{
	const uint64_t outer = hop->ntags > 0 ? be16_get(hop->tci[0]) % 4096 : 0,
	               inner = hop->ntags > 1 ? be16_get(hop->tci[1]) % 4096 : 0,
	               kinds = hop->ntags > 0 ? hop->tpid0 + 4 * (hop->ntags > 1 ? hop->tpid1 : 0u)
	                                      : 0;

	if (hop->ntags == 1 && kinds == TPID_8021Q && !outer)
		return 0;
	return (uint64_t)hop->ntags << 40 | kinds << 32 | outer << 16 | inner;
}

/* If the flow's client is answered in the VLAN of `from`. */
static enum maybe client_vlan(const struct flow_model *f, const struct hop *from)
{
	unsigned there = 0, n = f->nstays < MODEL_STAYS ? f->nstays : MODEL_STAYS;

	for (unsigned i = 0; i < n; i++)
		there += vlan_of(&f->stays[i].hop) == vlan_of(from);
	if (f->nstays > n) /* it may be where the model has no room to remember */
		return MAYBE;
	return there == n ? YES : there ? MAYBE : NO;
}

/* If a SYN of its client's begins another one: its server is down, or is to have no more. Then what
 * it has answered already stays. */
static bool gives_way(const struct model *m, const struct flow_model *f, const struct verdict *v)
{
	const struct rules_server *rule = &m->rules->servers[f->server];

	if (m->servers[f->server].health == HEALTH_DOWN)
		return true;
	if (rule->weight && rule->state != STATE_DRAIN && rule->state != STATE_DISABLED)
		return false;
	if (f->doubtful) /* as the engine sees it */
		return v->why != WHY_FLOW_HIT;
	return f->life != LIFE_HALF_OPEN || !f->voice[SERVER].spoke;
}

/* A client's SYN on a live flow. */
static void judge_syn_again(struct model *m, struct flow_model *f, const struct frame *before,
                            const struct frame *after, const struct seen *s,
                            const struct verdict *v)
{
	const enum maybe vlan = client_vlan(f, &s->from);
	const bool elsewhere = vlan == MAYBE
	                               ? v->why == WHY_OTHER_VLAN || v->why == WHY_RST_LIMITED ||
	                                         v->why == WHY_PORT_NOT_SERVED
	                               : vlan == NO;
	struct flow_model *older;
	const uint64_t id = f->id;
	unsigned farm;
	int service;
	enum end end;

	if (!elsewhere && !gives_way(m, f, v)) {
		judge_hit(m, f, CLIENT, before, after, s, v);
		return;
	}
	if (s->ip_damage && v->why == WHY_BAD_CHECKSUM)
		return;
	if (judge_odd(m, s, true))
		return judge_why(v, judge_odd(m, s, true));
	service = judge_service_of(m, s, &farm);
	if (service < 0) /* not a VIP in this VLAN, or its port isn't served any more */
		return judge_no_flow(m, before, after, s, v);
	if (elsewhere) {
		m->counts.counters[COUNTER_FLOWS_REFUSED]++;
		return judge_rst(m, s, v, WHY_OTHER_VLAN);
	}
	give_way(m, f);
	older = flows_model_find(m, s, &end);
	if (older && older->life != LIFE_RESTING && older->id != id && !gives_way(m, older, v))
		return judge_hit(m, older, CLIENT, before, after, s, v);
	judge_syn(m, before, after, s, v, farm, (unsigned)service);
}

/*
 * The flow that a client's packet is of: f, or the one beside which that was made, which goes on.
 */
static struct flow_model *resolve(struct model *m, struct flow_model *f, const struct seen *s,
                                  const struct verdict *v)
{
	struct flow_model *older = flows_model_older(m, f);
	const uint64_t id = older ? older->id : 0;
	enum maybe back;

	if (!older || judge_is_syn(s) || f->life == LIFE_RESTING ||
	    (f->life != LIFE_HALF_OPEN && !f->doubtful))
		return f;
	back = life_model_goes_on(older, CLIENT, s);
	if (v->flow != older->name) {
		if (back == YES && !f->doubtful)
			report_mismatch("flow %u goes on, and hasn't its client back", older->name);
		return f;
	}
	if (back == NO)
		report_mismatch("flow %u has its client back for nothing", older->name);
	give_way(m, f);
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].id == id)
			return &m->flows[i];
	report_mismatch("the older flow is gone");
	return NULL;
}

void judge_tcp(struct model *m, const struct frame *before, const struct frame *after,
               const struct seen *s, const struct verdict *v)
{
	enum end end = CLIENT;
	struct flow_model *f = flows_model_find(m, s, &end);
	unsigned farm;
	int service;

	if (judge_is_syn(s))
		known_model_asks(m, &s->src);
	if (f && end == CLIENT)
		f = resolve(m, f, s, v);
	service = judge_service_of(m, s, &farm);
	if (!f)
		judge_no_flow(m, before, after, s, v);
	else if (f->life != LIFE_RESTING && judge_is_syn(s) && end == CLIENT)
		judge_syn_again(m, f, before, after, s, v);
	else if (f->life != LIFE_RESTING)
		judge_hit(m, f, end, before, after, s, v);
	else if (judge_is_syn(s) && end == CLIENT && service < 0)
		judge_no_flow(m, before, after, s, v); /* not a VIP in this VLAN */
	else if (judge_is_syn(s) && end == CLIENT)
		judge_syn(m, before, after, s, v, farm, (unsigned)service);
	else
		judge_late(m, f, end, before, after, s, v);
}
