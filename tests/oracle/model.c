/*
 * The ladder: what becomes of a frame, by the first rung that it meets.
 *
 * From one of our own MAC addresses: a loop. To a port's own MAC address, but to no address of
 * ours: the host's. To no VIP and no SNAT address, in its VLAN: bridged. ARP and neighbour
 * discovery for these: answered, learned from, or noted as a conflict. Headers that can't be,
 * sources that can't be: dropped. Of what is left: an echo request is answered while a server may
 * take connections, an ICMP error goes to its flow's other end, TCP of a flow to its other end, a
 * SYN to a service port makes a flow or is refused, other TCP is reset at a limited rate, and all
 * else is dropped.
 */
#include "parts.h"

#include <stdlib.h>

#define BIT(why) (1ull << (why))

static_assert(LB_NWHYS <= 64, "sets of reasons are 64 bits");

void model_init(struct model *m, const struct rules *rules, const struct mac macs[NSIDES],
                lb_time now)
{
	*m = (struct model){.rules = rules, .now = now.ns};
	memcpy(m->macs, macs, sizeof(m->macs));
	m->flows = calloc(model_places(m) * MODEL_FLOWS_FACTOR, sizeof(*m->flows));
	m->sourced = calloc(MODEL_SOURCED, sizeof(*m->sourced));
	m->neighbours = calloc(MODEL_NEIGHBOURS, sizeof(*m->neighbours));
	rates_model_begin(m);
	for (unsigned s = 0; s < rules->nservers; s++) {
		m->servers[s].health =
		        model_farm(m, rules->servers[s].farm)->nchecks ? HEALTH_UNKNOWN : HEALTH_UP;
		for (unsigned c = 0; c < MODEL_CHECKS; c++)
			m->servers[s].checks[c].up = MAYBE;
	}
}

void model_free(struct model *m)
{
	free(m->flows);
	free(m->sourced);
	free(m->neighbours);
}

bool model_has_server(const struct model *m, unsigned server, const struct hop *from)
{
	const struct rules_server *rule = &m->rules->servers[server];

	if (!rule->vlan && !model_farm(m, rule->farm)->vlan)
		return true;
	return is_in_vlan(from, rule->vlan);
}

/* If the farm's VIP, or one of its addresses for SNAT, counts where frames come from there. */
static bool has_addresses(const struct model *m, unsigned farm, const struct hop *from, bool vip)
{
	const struct rules_farm *f = model_farm(m, farm);
	bool ret = !from || !f->vlan || is_in_vlan(from, f->vlan);

	for (unsigned s = 0; !vip && from && s < f->nservers; s++)
		ret |= model_has_server(m, f->server + s, from);
	return ret;
}

int model_farm_of(const struct model *m, const struct addr *addr, const struct hop *from,
                  bool vip_only)
{
	for (unsigned f = 0; f < m->rules->nfarms; f++) {
		struct addr a = addr_of_vip(m->rules, f);

		if (addr_eq(&a, addr) && has_addresses(m, f, from, true))
			return (int)f;
		for (unsigned i = 0; !vip_only && i < rules_all_snat(&m->rules->farms[f]); i++) {
			a = addr_of_rules(m->rules, m->rules->farms[f].snat[i]);
			if (addr_eq(&a, addr) && has_addresses(m, f, from, false))
				return (int)f;
		}
	}
	return -1;
}

const struct ended *model_next_ended(const struct model *m)
{
	return m->nended ? m->ended : NULL;
}

void model_expect(struct model *m, struct ended *ended, unsigned n, const struct statistics *after)
{
	const struct statistics *known = &m->counts;

	m->ended = ended;
	m->nended = n;
	m->resets =
	        after->ended[ENDED_RST] + after->revived - known->ended[ENDED_RST] - known->revived;
	m->revivals = after->revived - known->revived;
	m->stickies_evicted_before = m->stickies_evicted;
	m->stickies_evicted = after->stickies_evicted;
	flows_model_bury(m);
}

bool model_wants_last(struct model *m, const struct frame *frame)
{
	struct flow_model *f;
	struct seen s;
	enum end end;

	seen_read(frame, &s);
	if (s.kind != SEEN_TCP)
		return false;
	f = flows_model_find(m, &s, &end);
	return (s.flags & (SYN | RST)) != 0 || (f && f->unrecorded);
}

/* ---- sets of reasons ---- */

static void expect(const struct verdict *v, uint64_t allowed)
{
	if (!(BIT(v->why) & allowed))
		report_mismatch("the reason is %s, allowed are %llx",
		                lb_why_name((enum lb_why)v->why), (unsigned long long)allowed);
}

static bool is_ours(const struct model *m, const struct addr *a, const struct hop *from)
{
	return model_farm_of(m, a, from, false) >= 0;
}

/* RFC 1122, 3.2.1.3; RFC 4291, 2.5 and 2.7; and nobody else has our addresses. */
static bool is_no_sender(const struct model *m, const struct addr *a, const struct hop *from)
{
	static const uint8_t loopback[16] = {[15] = 1}, zeros[16];

	if (a->v6)
		return a->b[0] == 0xff || memcmp(a->b, zeros, 16) == 0 ||
		       memcmp(a->b, loopback, 16) == 0 || is_ours(m, a, from);
	return a->b[0] == 0 || a->b[0] == 127 || a->b[0] >= 224 || is_ours(m, a, from);
}

static bool is_martian(const struct model *m, const struct seen *s)
{
	return is_no_sender(m, &s->src, &s->from) || mac_is_group(&s->to) ||
	       mac_is_group(&s->from.mac);
}

/* What outranks all answers, or 0. A partial checksum is nobody's to judge. */
static uint64_t odd(const struct model *m, const struct seen *s, bool checked)
{
	return (is_martian(m, s) ? BIT(WHY_MARTIAN) : 0) |
	       (checked && s->l4_damage && !s->partial ? BIT(WHY_BAD_CHECKSUM) : 0);
}

/* Answered with a RST for this reason, or not at all for the rate's sake. */
static void expect_rst(struct model *m, const struct seen *s, const struct verdict *v,
                       enum lb_why why)
{
	expect(v, BIT(why) | BIT(WHY_RST_LIMITED));
	rates_model_note(m, why, &s->src, v->why != WHY_RST_LIMITED);
	if (v->why != WHY_RST_LIMITED)
		answers_model_check(m, s, v);
}

/* ---- a SYN ---- */

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
	fate = life_model_packet(f, CLIENT, s, m->now);
	if (fate.ends != NO)
		report_mismatch("the model ends a flow by its first SYN");
	m->counts.created++;
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

static void check_bytes(const struct model *m, const struct flow_model *f, enum end end,
                        const struct frame *before, const struct frame *after, const struct seen *s)
{
	struct leaving leaving = flows_model_leaving(m, f, end);
	uint8_t want[MODEL_FRAME_BYTES];

	if (before->len != after->len || before->len > sizeof(want))
		report_mismatch("the frame's length has changed");
	memcpy(want, before->data, before->len);
	seen_rewrite(want, s, &leaving.src, leaving.sport, &leaving.dst, leaving.dport);
	if (!seen_same(want, after->data, before->len, s))
		report_mismatch("the frame isn't rewritten as it should be: of flow %u, from end "
		                "%d",
		                f->name, (int)end);
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
	check_bytes(m, &f, CLIENT, before, after, s);
	was_short = room_model_is_short(m);
	room_model_replace(m, &f);
	room_model_make(m, was_short);
	begin_flow(m, &f, s, v);
	f.older = older;
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

	m->counts.refused++;
	if (whys & BIT(WHY_FLOW_NEW) && may_be_full)
		whys |= BIT(WHY_TABLE_FULL);
	whys &= ~BIT(WHY_FLOW_NEW);
	if (!whys)
		report_mismatch("a SYN was refused, and shouldn't be");
	rates_model_note(m, WHY_NO_SERVER, &s->src, v->why != WHY_RST_LIMITED);
	if (v->why == WHY_RST_LIMITED)
		return;
	expect(v, whys);
	answers_model_check(m, s, v);
	if (v->farm != farm)
		report_mismatch("the refusal is of farm %u", v->farm);
}

static void judge_syn(struct model *m, const struct frame *before, const struct frame *after,
                      const struct seen *s, const struct verdict *v, unsigned farm,
                      unsigned service)
{
	uint64_t odds = odd(m, s, true), whys;
	uint32_t allowed;
	unsigned before_it;

	if (odds) {
		expect(v, odds);
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
	expect(v, whys);
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

static bool is_for_us(const struct model *m, const struct seen *s)
{
	return s->kind != SEEN_OTHER && (is_ours(m, &s->dst, &s->from) ||
	                                 (s->kind == SEEN_ND && is_ours(m, &s->target, &s->from)));
}

static void judge_other(const struct model *m, const struct seen *s, const struct verdict *v)
{
	bool to_host = mac_eq(&s->to, &m->macs[OUTSIDE]) || mac_eq(&s->to, &m->macs[INSIDE]);

	expect(v, BIT(to_host ? WHY_TO_HOST : WHY_NOT_OURS));
	if (!to_host && v->way.side == s->from.side)
		report_mismatch("a frame was bridged to where it came from");
}

/* ---- TCP ---- */

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

static int service_of(const struct model *m, const struct seen *s, unsigned *ret_farm)
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

static bool is_syn(const struct seen *s)
{
	return (s->flags & (SYN | ACK | RST | FIN)) == SYN;
}

static void judge_no_flow(struct model *m, const struct frame *before, const struct frame *after,
                          const struct seen *s, const struct verdict *v)
{
	uint64_t odds = odd(m, s, true);
	unsigned farm = 0;
	int service = service_of(m, s, &farm);

	if (s->ip_damage && v->why == WHY_BAD_CHECKSUM)
		return;
	if (is_syn(s) && service >= 0) {
		judge_syn(m, before, after, s, v, farm, (unsigned)service);
	} else if (is_probe_reply(m, s)) {
		expect(v, BIT(WHY_PROBE) | odds);
	} else if (s->flags & RST) {
		expect(v, BIT(WHY_RST_NO_FLOW) | odds);
	} else if (odds) {
		expect(v, odds);
	} else {
		expect_rst(m, s, v, is_syn(s) ? WHY_PORT_NOT_SERVED : WHY_NO_FLOW);
	}
}

static void check_way(const struct flow_model *f, enum end end, const struct verdict *v)
{
	if (v->flow != f->name)
		report_mismatch("the flow is %u, not %u", v->flow, f->name);
	if (end == CLIENT && v->way.server != f->server)
		report_mismatch("it goes to server %u, not %u", v->way.server, f->server);
	if (end == SERVER && (v->way.server != SERVER_NONE || v->way.side != v->way.hop.side))
		report_mismatch("it doesn't go to where the client is");
}

/* What the client sends moves it only if it was accepted; the verdict says where it is answered
 * now.
 */
static void check_place(struct model *m, struct flow_model *f, enum end end,
                        const struct flow_model *before, const struct seen *s,
                        const struct verdict *v)
{
	const enum maybe moves = end == CLIENT ? f->accepted : f->begun_anew;

	if (moves != NO)
		segment_model_packet(m, f, end == CLIENT ? &s->from : &f->again.from);
	if (moves == MAYBE)
		segment_model_or(f, before);
	if (!segment_model_answers(m, f, &v->way.hop))
		report_mismatch("flow %u: its client isn't answered where it is", f->name);
}

/* An open flow that a RST ends may be revived: there is no record of it yet. */
static void settle_reset(struct model *m, struct flow_model *f, enum end by, struct fate fate)
{
	if ((m->resets && fate.ends == NO) || (!m->resets && fate.ends == YES))
		report_mismatch("a RST that %s be believed was%s", fate.ends ? "must" : "mustn't",
		                m->resets ? "" : "n't");
	if (m->resets)
		flows_model_reset(m, f, by);
}

/* What the server said first, if it did: how long that took. It may have been a RST. */
static void settle_answer(struct model *m, const struct flow_model *f, enum end end,
                          const struct flow_model *was)
{
	const bool doubtful = f->doubtful || was->doubtful;

	m->servers[f->server].connect_is_unsure |= doubtful; /* it may be timed whenever */
	if (end != SERVER || was->life != LIFE_HALF_OPEN || was->voice[SERVER].spoke)
		return;
	if (f->voice[SERVER].spoke || doubtful)
		choice_model_answered(m, f->server, (double)(m->now - was->made), !doubtful);
	else if (f->life == LIFE_RESTING)
		choice_model_answered(m, f->server, FASTEST_UNANSWERED_NS, true);
}

static void settle_fate(struct model *m, struct flow_model *f, enum end end, struct fate fate)
{
	const struct ended *next = model_next_ended(m);
	bool ended = next && (next->why == ENDED_FIN || next->why == ENDED_RST) &&
	             flows_model_of_record(m, next) == f &&
	             (fate.ends == YES || flows_model_is_counted(f, next));

	if (!ended && fate.why == ENDED_RST && (f->life != LIFE_HALF_OPEN || f->doubtful)) {
		settle_reset(m, f, end, fate);
		return;
	}
	if (!ended && fate.ends == YES)
		report_mismatch("the flow should have ended by %s", ended_name(fate.why));
	if (ended && (fate.ends == NO || (fate.why != next->why && !f->doubtful)))
		report_mismatch("the flow has ended by %s, and shouldn't",
		                ended_name((enum ended_why)next->why));
	if (ended)
		flows_model_end(m, f, (enum ended_why)next->why);
}

static void settle_revival(struct model *m, struct flow_model *f, enum end end,
                           const struct seen *s)
{
	enum maybe revives = life_model_revives(f, end, s, m->now);

	if (!f->unrecorded)
		return;
	if (m->servers[f->server].health == HEALTH_DOWN &&
	    model_farm(m, f->farm)->on_down == ON_DOWN_RESET)
		revives = NO; /* it would be reset at once */
	if ((m->revivals && revives == NO) || (!m->revivals && revives == YES))
		report_mismatch("flow %u was%s revived", f->name, m->revivals ? "" : "n't");
	if (m->revivals)
		flows_model_revive(m, f);
}

/* When a flow opens, the one beside which it was made has lost its client. */
static void settle_older(struct model *m, struct flow_model *f)
{
	struct flow_model *older = flows_model_older(m, f);
	const struct ended *next = model_next_ended(m);

	if (!older || (f->life == LIFE_HALF_OPEN && !f->doubtful))
		return;
	if (next && next->why == ENDED_EVICTED && flows_model_of_record(m, next) == older) {
		flows_model_end(m, older, ENDED_EVICTED);
		f->older = 0;
	} else if (!f->doubtful) {
		report_mismatch("flow %u is no more, and goes on", older->name);
	}
}

/* A flow that opens may be one too many for its client; then it says no more. */
static bool settle_limit(struct model *m, struct flow_model *f)
{
	const enum maybe over = limits_model_opened(m, f, f->surely_open && !f->doubtful);
	const struct ended *next = model_next_ended(m);
	const bool ended = next && next->why == ENDED_LIMIT &&
	                   flows_model_of_record(m, next) == f && flows_model_is_counted(f, next);

	if ((ended && over == NO) || (!ended && over == YES && !f->doubtful))
		report_mismatch("flow %u is one too many for its client, or isn't", f->name);
	if (!ended)
		return false;
	flows_model_end(m, f, ENDED_LIMIT);
	f->rsts[CLIENT] = f->rsts[SERVER] = 0;
	f->believed[CLIENT] = f->believed[SERVER] = false;
	f->reset_by_us = f->untold = true;
	return true;
}

static void judge_hit(struct model *m, struct flow_model *f, enum end end,
                      const struct frame *before, const struct frame *after, const struct seen *s,
                      const struct verdict *v)
{
	const struct flow_model was = *f;
	struct fate fate;
	bool was_open;

	expect(v, BIT(WHY_FLOW_HIT));
	check_bytes(m, f, end, before, after, s);
	was_open = f->surely_open;
	if (f->life == LIFE_RESTING) {
		f->there = YES; /* the band's end is looked at again with the next frame */
		settle_revival(m, f, end, s);
	}
	if (f->life == LIFE_RESTING) {
		life_model_count(f, end, s);
		f->accepted = f->begun_anew = NO;
		check_place(m, f, end, &was, s, v);
		check_way(f, end, v);
	} else {
		fate = life_model_packet(f, end, s, m->now);
		check_place(m, f, end, &was, s, v);
		check_way(f, end, v);
		settle_older(m, f);
		if (was_open || !(f->surely_open || f->doubtful) || !settle_limit(m, f))
			settle_fate(m, f, end, fate);
		settle_answer(m, f, end, &was);
	}
	if (!was_open && (f->surely_open || f->doubtful) && !f->untold)
		choice_model_opened(m, f, f->surely_open && !f->doubtful);
	choice_model_used(m, f);
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
	if (is_for_us(m, s))
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

/* 0: none, which a tag may say as well (IEEE 802.1Q, priority tags). */
static int vlan_of(const struct hop *hop)
{
	if (!hop->ntags)
		return 0;
	return hop->ntags == 1 && hop->tpid0 == TPID_8021Q ? be16_get(hop->tci[0]) & 0xfff : -1;
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
	if (odd(m, s, true))
		return expect(v, odd(m, s, true));
	service = service_of(m, s, &farm);
	if (service < 0) /* not a VIP in this VLAN, or its port isn't served any more */
		return judge_no_flow(m, before, after, s, v);
	if (elsewhere) {
		m->counts.refused++;
		return expect_rst(m, s, v, WHY_OTHER_VLAN);
	}
	give_way(m, f);
	older = flows_model_find(m, s, &end);
	if (older && older->life != LIFE_RESTING && older->id != id && !gives_way(m, older, v))
		return judge_hit(m, older, CLIENT, before, after, s, v);
	judge_syn(m, before, after, s, v, farm, (unsigned)service);
}

/* The flow that a client's packet is of: f, or the one beside which that was made, which goes on.
 */
static struct flow_model *resolve(struct model *m, struct flow_model *f, const struct seen *s,
                                  const struct verdict *v)
{
	struct flow_model *older = flows_model_older(m, f);
	const uint64_t id = older ? older->id : 0;
	enum maybe back;

	if (!older || is_syn(s) || f->life == LIFE_RESTING ||
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

static void judge_tcp(struct model *m, const struct frame *before, const struct frame *after,
                      const struct seen *s, const struct verdict *v)
{
	enum end end = CLIENT;
	struct flow_model *f = flows_model_find(m, s, &end);
	unsigned farm;
	int service;

	if (f && end == CLIENT)
		f = resolve(m, f, s, v);
	service = service_of(m, s, &farm);
	if (!f)
		judge_no_flow(m, before, after, s, v);
	else if (f->life != LIFE_RESTING && is_syn(s) && end == CLIENT)
		judge_syn_again(m, f, before, after, s, v);
	else if (f->life != LIFE_RESTING)
		judge_hit(m, f, end, before, after, s, v);
	else if (is_syn(s) && end == CLIENT && service < 0)
		judge_no_flow(m, before, after, s, v); /* not a VIP in this VLAN */
	else if (is_syn(s) && end == CLIENT)
		judge_syn(m, before, after, s, v, farm, (unsigned)service);
	else
		judge_late(m, f, end, before, after, s, v);
}

/* ---- the rest ---- */

/* If any farm that has the address there has a server. */
static bool is_up(const struct model *m, const struct addr *addr, const struct hop *from)
{
	for (unsigned f = 0; f < m->rules->nfarms; f++) {
		struct addr a = addr_of_vip(m->rules, f);
		bool is_its = addr_eq(&a, addr) && has_addresses(m, f, from, true);

		for (unsigned i = 0; i < rules_all_snat(&m->rules->farms[f]); i++) {
			a = addr_of_rules(m->rules, m->rules->farms[f].snat[i]);
			is_its |= addr_eq(&a, addr) && has_addresses(m, f, from, false);
		}
		if (is_its && choice_model_farm_is_up(m, f))
			return true;
	}
	return false;
}

static void judge_echo(struct model *m, const struct seen *s, const struct verdict *v)
{
	bool up = is_up(m, &s->dst, &s->from);
	uint64_t odds = odd(m, s, true);

	if (odds) {
		expect(v, odds | (up ? 0 : BIT(WHY_ECHO_NO_SERVER)));
		return;
	}
	expect(v, BIT(up ? WHY_ECHO_REPLY : WHY_ECHO_NO_SERVER));
	if (up)
		answers_model_check(m, s, v);
}

static void check_sighting(const struct model *m, const struct seen *s, const struct verdict *v)
{
	bool ours = is_ours(m, &s->src, &s->from);

	if (v->conflict != ours)
		report_mismatch("conflict is %d", v->conflict);
}

static void judge_arp(struct model *m, const struct seen *s, const struct verdict *v)
{
	if (mac_is_group(&s->arp_sender) || mac_is_group(&s->from.mac)) {
		expect(v, BIT(WHY_MARTIAN) | BIT(WHY_ARP_OTHER));
		return;
	}
	check_sighting(m, s, v);
	if (s->arp_oper == 1)
		expect(v, BIT(WHY_ARP_REPLY));
	else if (is_ours(m, &s->src, &s->from))
		expect(v, BIT(WHY_ARP_CONFLICT));
	else
		expect(v, BIT(s->arp_oper == 2 ? WHY_ARP_LEARNED : WHY_ARP_OTHER));
	if (v->why == WHY_ARP_REPLY)
		answers_model_check(m, s, v);
}

static void judge_nd(struct model *m, const struct seen *s, const struct verdict *v)
{
	if (s->nd_solicitation) {
		expect(v, BIT(is_ours(m, &s->target, &s->from) ? WHY_ND_REPLY : WHY_ND_OTHER));
		if (v->why == WHY_ND_REPLY)
			answers_model_check(m, s, v);
		return;
	}
	expect(v, BIT(is_ours(m, &s->target, &s->from) ? WHY_ND_CONFLICT : WHY_ND_LEARNED));
}

/* Who an error is from may be a router anywhere; but not one of us, nor a group. */
static void judge_icmp(struct model *m, const struct frame *before, const struct frame *after,
                       const struct seen *s, const struct verdict *v)
{
	struct quoted q;

	if (is_martian(m, s))
		expect(v, BIT(WHY_MARTIAN) | BIT(WHY_ICMP_OTHER) | BIT(WHY_ICMP_NO_FLOW));
	else if (!icmp_model_judge(m, before, after, s, v))
		expect(v, BIT(seen_read_quoted(before->data, s, &q) ? WHY_ICMP_NO_FLOW
		                                                    : WHY_ICMP_OTHER));
}

static void judge_ours(struct model *m, const struct frame *before, const struct frame *after,
                       const struct seen *s, const struct verdict *v)
{
	switch (s->kind) {
	case SEEN_TCP:
		return judge_tcp(m, before, after, s, v);
	case SEEN_ARP:
		return judge_arp(m, s, v);
	case SEEN_ND:
		return judge_nd(m, s, v);
	case SEEN_ECHO:
		return judge_echo(m, s, v);
	case SEEN_NO_IP: /* whose it is can't be said */
		if (v->why != WHY_IP_MALFORMED)
			judge_other(m, s, v);
		return;
	case SEEN_BAD_IP:
		return expect(v, BIT(WHY_IP_MALFORMED));
	case SEEN_BAD_TCP:
		return expect(v, BIT(WHY_TCP_MALFORMED));
	case SEEN_ICMP:
		return judge_icmp(m, before, after, s, v);
	case SEEN_PROTOCOL:
		return expect(v, BIT(WHY_PROTOCOL_NOT_SERVED) | odd(m, s, false));
	default:
		report_mismatch("the model has no rule for kind %d", (int)s->kind);
	}
}

/* If a server of a farm without SNAT has the address of that one where frames come from there: all
 * that comes from it may be a flow's, of whichever farm. */
bool model_has_unmasked(const struct model *m, unsigned server, const struct hop *from)
{
	struct addr a = addr_of_server(m->rules, server);

	for (unsigned s = 0; s < m->rules->nservers; s++) {
		const struct rules_farm *f = model_farm(m, m->rules->servers[s].farm);
		struct addr b = addr_of_server(m->rules, s);

		if (addr_eq(&a, &b) && (!f->nsnat || f->keeps_off) && model_has_server(m, s, from))
			return true;
	}
	return false;
}

/* Replies of servers of a farm with snat = off are to the client, not to us. */
static bool is_unmasked(struct model *m, const struct seen *s, const struct verdict *v)
{
	const struct flow_model *f;
	enum end end;

	if (s->kind != SEEN_TCP)
		return false;
	f = flows_model_find(m, s, &end);
	/* one that was a client while there was SNAT, in another VLAN now */
	if (f && end == CLIENT && v->why == WHY_FLOW_HIT)
		for (unsigned i = 0; i < m->rules->nservers; i++) {
			struct addr a = addr_of_server(m->rules, i);

			if (addr_eq(&a, &s->src) && model_has_unmasked(m, i, &s->from))
				return true;
		}
	return f && end == SERVER && model_has_unmasked(m, f->server, &s->from);
}

static void judge(struct model *m, const struct frame *before, const struct frame *after,
                  const struct seen *s, const struct verdict *v)
{
	if (mac_eq(&s->from.mac, &m->macs[OUTSIDE]) || mac_eq(&s->from.mac, &m->macs[INSIDE]))
		expect(v, BIT(WHY_LOOP));
	else if (is_for_us(m, s))
		judge_ours(m, before, after, s, v);
	else if (is_unmasked(m, s, v))
		judge_tcp(m, before, after, s, v);
	else if (!is_martian(m, s) && icmp_model_is_unmasked(m, before, s) &&
	         icmp_model_judge(m, before, after, s, v))
		return;
	else
		judge_other(m, s, v);
}

void model_frame(struct model *m, const struct frame *before, const struct frame *after,
                 const struct verdict *v, lb_time now)
{
	struct seen s;

	m->now = now.ns;
	seen_read(before, &s);
	report_frame(&s, v, now);
	if (v->why >= LB_NWHYS || v->act != lb_why_act((enum lb_why)v->why))
		report_mismatch("act %u for reason %u", v->act, v->why);
	m->counts.whys[v->why]++;
	flows_model_rested(m, false);
	judge(m, before, after, &s, v);
	if (v->why != WHY_LOOP)
		segment_model_hear(m, &s);
	if (v->act != LB_FORWARD &&
	    (before->len != after->len || memcmp(before->data, after->data, before->len) != 0))
		report_mismatch("a frame that isn't forwarded was changed");
}
