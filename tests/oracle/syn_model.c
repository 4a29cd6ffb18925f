/*
 * A SYN that makes a flow, or is refused.
 */
#include "judge.h"

static void begin_flow(struct model *m, struct flow_model *f, const struct seen *s,
                       const struct verdict *v)
{
	struct fate fate;

	f->there = YES;
	f->listed = true;
	f->life = LIFE_HALF_OPEN;
	f->nstays = 0;
	segment_model_packet(m, f, &s->from);
	f->name = v->flow;
	f->made = f->last_sure = f->last_any = m->now;
	f->order = m->order++;
	f->id = ++m->ids;
	fate = life_model_packet(f, CLIENT, s, false, m->now);
	if (fate.ends != NO)
		report_mismatch("the model ends a flow by its first SYN");
	m->counts.counters[COUNTER_FLOWS_CREATED]++;
	m->servers[f->server].total++;
}

/* What the engine chose, as the frame says now. */
static struct flow_model read_choice(const struct model *m, const struct seen *now,
                                     const struct verdict *v, unsigned farm, unsigned service,
                                     const struct seen *s)
{
	struct flow_model f = {.farm = farm,
	                       .service = service,
	                       .server = v->way.server,
	                       .client = s->src,
	                       .client_port = s->sport,
	                       .snat = now->src,
	                       .snat_port = now->sport,
	                       .vip_port = s->dport,
	                       .server_port = now->dport};
	const struct rules_farm *rule = model_farm(m, farm);
	const be16 there = rule->server_ports ? rule->server_ports[service] : rule->ports[service];

	if (now->dport != be16_get(there))
		report_mismatch("a SYN goes to port %u, not %u", now->dport, be16_get(there));

	if (v->way.server >= m->rules->nservers || m->rules->servers[v->way.server].farm != farm)
		report_mismatch("server %u isn't one of farm %u", v->way.server, farm);
	return f;
}

/* One that is made in an older one's place has its port, wherever that came from. */
static void count_own_port(struct model *m, const struct flow_model *f,
                           const struct flow_model *old)
{
	if (model_farm(m, f->farm)->nsnat && f->snat_port == f->client_port)
		model_counts(m, COUNTER_FLOWS_OWN_PORT, !old, 1);
}

static void make_flow(struct model *m, const struct frame *before, const struct frame *after,
                      const struct seen *s, const struct verdict *v, unsigned farm,
                      unsigned service)
{
	struct seen now;
	struct flow_model f;
	enum end end;
	bool was_short;
	const struct flow_model *old = flows_model_find(m, s, &end);
	uint64_t older = old && old->life != LIFE_RESTING ? old->id : 0;

	seen_read(after, &now);
	f = read_choice(m, &now, v, farm, service, s);
	ports_model_check(m, &f, old, s);
	judge_bytes(m, &f, CLIENT, before, after, s);
	was_short = room_model_is_short(m);
	room_model_replace(m, &f);
	room_model_make(m, was_short);
	begin_flow(m, &f, s, v);
	f.older = older;
	count_own_port(m, &f, old);
	*flows_model_add(m) = f;
	if (flows_model_older(m, &f))
		flows_model_older(m, &f)->listed = false;
}

/* Connections that are open, or closing, for sure; or that may be. */
static unsigned established(const struct model *m, bool for_sure)
{
	return flows_model_live(m) - flows_model_half_open(m, !for_sure);
}

/* A SYN that got no flow: whys, as far as the choice of a server goes. */
static void judge_refusal(struct model *m, const struct seen *s, const struct verdict *v,
                          unsigned farm, uint64_t whys)
{
	const bool may_be_full = established(m, false) >= m->rules->max_connections;

	m->counts.counters[COUNTER_FLOWS_REFUSED]++;
	if (whys & BIT(WHY_FLOW_NEW) && may_be_full)
		whys |= BIT(WHY_TABLE_FULL);
	whys &= ~BIT(WHY_FLOW_NEW);
	if (!whys)
		report_mismatch("a SYN was refused, and shouldn't be");
	rates_model_note(m, WHY_NO_SERVER, &s->src, v->why != WHY_RST_LIMITED);
	if (v->why == WHY_RST_LIMITED)
		return;
	judge_why(v, whys);
	answers_model_check(m, s, v);
	if (v->farm != farm)
		report_mismatch("the refusal is of farm %u", v->farm);
}

void judge_syn(struct model *m, const struct frame *before, const struct frame *after,
               const struct seen *s, const struct verdict *v, unsigned farm, unsigned service)
{
	uint64_t odds = judge_odd(m, s, true), whys;
	uint32_t allowed;
	unsigned before_it;

	if (odds) {
		judge_why(v, odds);
		return;
	}
	if (limits_model_refuses(m, s, v, farm)) {
		choice_model_forget_turns(m, farm);
		return;
	}
	whys = choice_model_servers(m, farm, service, &s->src, s->sport, &allowed);
	m->had_no_port = v->way.server < m->rules->nservers &&
	                 ports_model_none_free(m, farm, v->way.server, service);
	if (v->why != WHY_FLOW_NEW) {
		judge_refusal(m, s, v, farm, whys);
		choice_model_forget_turns(m, farm);
		return;
	}
	judge_why(v, whys);
	if (established(m, true) >= m->rules->max_connections)
		report_mismatch("a flow was made, though as many are open as may be");
	choice_model_chosen(m, farm, &s->src, s->sport, v->way.server, allowed);
	before_it = choice_model_connections(m, v->way.server);
	room_model_take_evicted(m, farm, v->way.server, service);
	/* those that were revived may be too many, but no more are added */
	if (choice_model_is_full(m, v->way.server) &&
	    choice_model_connections(m, v->way.server) >= before_it)
		report_mismatch("server %u has more than its max_connections", v->way.server);
	make_flow(m, before, after, s, v, farm, service);
	limits_model_begun(m, farm, &s->src);
}
