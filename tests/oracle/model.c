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
#include "judge.h"

#include <stdlib.h>

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
	m->revivals =
	        after->counters[COUNTER_FLOWS_REVIVED] - known->counters[COUNTER_FLOWS_REVIVED];
	m->resets = after->ended[ENDED_RST] - known->ended[ENDED_RST] + m->revivals;
	m->stickies_evicted_before = m->stickies_evicted;
	m->stickies_evicted = after->counters[COUNTER_PERSIST_EVICTED];
	segment_model_expect(m, after->counters[COUNTER_NEIGHBOURS_EVICTED],
	                     after->counters[COUNTER_NEIGHBOURS_REFUSED]);
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

bool judge_is_for_us(const struct model *m, const struct seen *s)
{
	return s->kind != SEEN_OTHER &&
	       (judge_is_ours(m, &s->dst, &s->from) ||
	        (s->kind == SEEN_ND && judge_is_ours(m, &s->target, &s->from)));
}

void judge_other(const struct model *m, const struct seen *s, const struct verdict *v)
{
	bool to_host = mac_eq(&s->to, &m->macs[OUTSIDE]) || mac_eq(&s->to, &m->macs[INSIDE]);

	judge_why(v, BIT(to_host ? WHY_TO_HOST : WHY_NOT_OURS));
	if (!to_host && v->way.side == s->from.side)
		report_mismatch("a frame was bridged to where it came from");
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
	uint64_t odds = judge_odd(m, s, true);

	if (odds) {
		judge_why(v, odds | (up ? 0 : BIT(WHY_ECHO_NO_SERVER)));
		return;
	}
	judge_why(v, BIT(up ? WHY_ECHO_REPLY : WHY_ECHO_NO_SERVER));
	if (up)
		answers_model_check(m, s, v);
}

static void check_sighting(const struct model *m, const struct seen *s, const struct verdict *v)
{
	bool ours = judge_is_ours(m, &s->src, &s->from);

	if (v->conflict != ours)
		report_mismatch("conflict is %d", v->conflict);
}

static void judge_arp(struct model *m, const struct seen *s, const struct verdict *v)
{
	if (!is_somebodys(&s->arp_sender) || !is_somebodys(&s->from.mac)) {
		judge_why(v, BIT(WHY_MARTIAN) | BIT(WHY_ARP_OTHER));
		return;
	}
	check_sighting(m, s, v);
	if (s->arp_oper == 1)
		judge_why(v, BIT(WHY_ARP_REPLY));
	else if (judge_is_ours(m, &s->src, &s->from))
		judge_why(v, BIT(WHY_ARP_CONFLICT));
	else
		judge_why(v, BIT(s->arp_oper == 2 ? WHY_ARP_LEARNED : WHY_ARP_OTHER));
	if (v->why == WHY_ARP_REPLY)
		answers_model_check(m, s, v);
}

static void judge_nd(struct model *m, const struct seen *s, const struct verdict *v)
{
	if (s->nd_solicitation) {
		judge_why(v, BIT(judge_is_ours(m, &s->target, &s->from) ? WHY_ND_REPLY
		                                                        : WHY_ND_OTHER));
		if (v->why == WHY_ND_REPLY)
			answers_model_check(m, s, v);
		return;
	}
	judge_why(v,
	          BIT(judge_is_ours(m, &s->target, &s->from) ? WHY_ND_CONFLICT : WHY_ND_LEARNED));
}

/* Who an error is from may be a router anywhere; but not one of us, nor a group. */
static void judge_icmp(struct model *m, const struct frame *before, const struct frame *after,
                       const struct seen *s, const struct verdict *v)
{
	struct quoted q;

	if (judge_is_martian(m, s))
		judge_why(v, BIT(WHY_MARTIAN) | BIT(WHY_ICMP_OTHER) | BIT(WHY_ICMP_NO_FLOW));
	else if (!icmp_model_judge(m, before, after, s, v))
		judge_why(v, BIT(seen_read_quoted(before->data, s, &q) ? WHY_ICMP_NO_FLOW
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
		return judge_why(v, BIT(WHY_IP_MALFORMED));
	case SEEN_BAD_TCP:
		return judge_why(v, BIT(WHY_TCP_MALFORMED));
	case SEEN_ICMP:
		return judge_icmp(m, before, after, s, v);
	case SEEN_PROTOCOL:
		return judge_why(v, BIT(WHY_PROTOCOL_NOT_SERVED) | judge_odd(m, s, false));
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
		judge_why(v, BIT(WHY_LOOP));
	else if (judge_is_for_us(m, s))
		judge_ours(m, before, after, s, v);
	else if (is_unmasked(m, s, v))
		judge_tcp(m, before, after, s, v);
	else if (!judge_is_martian(m, s) && icmp_model_is_unmasked(m, before, s) &&
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
