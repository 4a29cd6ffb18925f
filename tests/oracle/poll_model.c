/*
 * What time does: flows that expire or whose server is down end, with RSTs that the ends believe.
 * And the sums that must hold afterwards.
 */
#include "counted.h"
#include "parts.h"

/* If its client is answered where a reload has left the VIP to somebody else. */
static enum maybe is_cut_off(const struct model *m, const struct flow_model *f)
{
	const unsigned n = f->nstays < MODEL_STAYS ? f->nstays : MODEL_STAYS;
	const struct addr vip = addr_of_vip(m->rules, f->farm);
	unsigned cut = 0;

	if (!m->moved)
		return NO;
	for (unsigned i = 0; i < n; i++)
		cut += model_farm_of(m, &vip, &f->stays[i].hop, false) < 0;
	if (f->nstays > n || (cut && cut < n))
		return MAYBE;
	return cut ? YES : NO;
}

/* If the flow could end for this reason now. */
static void check_end(const struct model *m, const struct flow_model *f, enum ended_why why)
{
	report_about(f->name);
	if (why == ENDED_IDLE && life_model_expired(m, f) == NO)
		report_mismatch("flow %u has expired after %llu ns, in state %d", f->name,
		                (unsigned long long)(m->now - f->last_any), (int)f->life);
	if (why == ENDED_SERVER_DOWN && !f->condemned)
		report_mismatch("flow %u has ended as if its server were down", f->name);
	if (why == ENDED_RELOAD && is_cut_off(m, f) == NO)
		report_mismatch("flow %u was reset by a reload for nothing", f->name);
	if (why != ENDED_IDLE && why != ENDED_SERVER_DOWN && why != ENDED_RELOAD)
		report_mismatch("flow %u has ended by %s in a poll", f->name, ended_name(why));
	report_about(FLOW_NONE);
}

static void take_records(struct model *m)
{
	const struct ended *next;

	while ((next = model_next_ended(m))) {
		struct flow_model *f = flows_model_of_record(m, next);
		enum ended_why why = (enum ended_why)next->why;

		if (!f)
			report_mismatch("a record, %s, of a flow that isn't live", ended_name(why));
		check_end(m, f, why);
		flows_model_end(m, f, why);
		if (why == ENDED_IDLE && f->ended_life == LIFE_HALF_OPEN && !f->voice[SERVER].spoke)
			choice_model_answered(m, f->server, FASTEST_UNANSWERED_NS, !f->doubtful);
		if (why == ENDED_SERVER_DOWN && f->ended_life == LIFE_HALF_OPEN && !f->doubtful) {
			flows_model_remove(m, f); /* without a word, and at once */
			continue;
		}
		if (why == ENDED_SERVER_DOWN && f->doubtful)
			f->there = MAYBE; /* it may have been half-open */
		f->rsts[CLIENT] = f->rsts[SERVER] = 0;
		f->believed[CLIENT] = f->believed[SERVER] = false;
		f->reset_by_us = true;
	}
}

/* If its server is down, and there is no reason to keep it. */
static bool is_doomed(const struct model *m, const struct flow_model *f)
{
	return f->condemned && m->servers[f->server].health == HEALTH_DOWN &&
	       (model_farm(m, f->farm)->on_down == ON_DOWN_RESET ||
	        (f->life == LIFE_HALF_OPEN && !f->doubtful));
}

/* What nothing may keep alive any longer. */
static void check_overdue(const struct model *m)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->life == LIFE_RESTING)
			continue;
		report_about(f->name);
		if (life_model_expired(m, f) == YES)
			report_mismatch("flow %u should have expired: %llu ns in state %d", f->name,
			                (unsigned long long)(m->now - f->last_any), (int)f->life);
		if (is_cut_off(m, f) == YES)
			report_mismatch("flow %u is cut off, and lives", f->name);
		if (is_doomed(m, f))
			report_mismatch("flow %u still lives, though its server is down", f->name);
	}
	report_about(FLOW_NONE);
}

static bool is_to(const struct own *own, const struct leaving *way)
{
	struct addr src = own->ipv6 ? addr_of6(&own->src6) : addr_of4(own->tuple.src),
	            dst = own->ipv6 ? addr_of6(&own->dst6) : addr_of4(own->tuple.dst);

	return addr_eq(&src, &way->src) && addr_eq(&dst, &way->dst) &&
	       be16_get(own->tuple.sport) == way->sport && be16_get(own->tuple.dport) == way->dport;
}

/* RFC 9293, 3.10.7.3: who hasn't had a SYN yet believes one that acknowledges his. */
static bool is_believed(const struct flow_model *f, enum end to, const struct own *own)
{
	const struct voice *receiver = &f->voice[to], *sender = &f->voice[!to];

	if (!sender->spoke)
		return own->tcp_flags == (RST | ACK) && own->ack == receiver->next;
	return own->tcp_flags & RST &&
	       (own->seq == sender->next || own->seq == receiver->acked || !receiver->answered);
}

static bool makes_sense(const struct flow_model *f, enum end to, const struct own *own)
{
	return is_believed(f, to, own) && (to == SERVER || segment_model_is_at(f, &own->to) != NO);
}

/*
 * How well it fits: best if it has the number that the other end would have sent next, then if it
 * has the one up to which the receiver has acknowledged. Of a doubtful flow the numbers are unsure.
 */
static unsigned fits(const struct flow_model *f, enum end to, const struct own *own)
{
	const struct voice *receiver = &f->voice[to], *sender = &f->voice[!to];

	if (!makes_sense(f, to, own))
		return f->doubtful;
	if (sender->spoke && own->seq == sender->next)
		return 3;
	return sender->spoke && receiver->answered && own->seq == receiver->acked ? 2 : 1;
}

/*
 * The flow that has just ended and the end that a frame of ours is for. Where two of them have the
 * same client, one having been made beside the other, it is the one that it fits best, and who
 * hasn't been told.
 */
static struct flow_model *flow_of_own(struct model *m, const struct own *own, enum end *ret_to)
{
	struct flow_model *ret = NULL;
	unsigned best = 0;

	for (unsigned i = 0; i < m->nflows; i++) {
		struct flow_model *f = &m->flows[i];

		if (f->life != LIFE_RESTING || (f->ended != m->now && !f->untold))
			continue;
		for (unsigned to = 0; to < 2; to++) {
			struct leaving way =
			        flows_model_leaving(m, f, to == CLIENT ? SERVER : CLIENT);

			const unsigned fit = fits(f, (enum end)to, own);

			if (!is_to(own, &way) ||
			    (ret &&
			     (fit < best || (fit == best && f->rsts[to] >= ret->rsts[*ret_to]))))
				continue;
			best = fit;
			*ret_to = (enum end)to;
			ret = f;
		}
	}
	if (!ret)
		report_mismatch("a RST to port %u that is of no flow that has just ended",
		                be16_get(own->tuple.dport));
	return ret;
}

static void take_rst(struct model *m, const struct own *own)
{
	enum end to = CLIENT;
	struct flow_model *f = flow_of_own(m, own, &to);

	report_about(f->name);
	if (own->kind != OWN_TCP || !(own->tcp_flags & RST))
		report_mismatch("a frame of kind %u, flags %02x, from a poll", own->kind,
		                own->tcp_flags);
	if (to == SERVER && own->server != f->server)
		report_mismatch("a RST to server %u goes to %u", f->server, own->server);
	if (to == CLIENT && (own->server != SERVER_NONE || !segment_model_answers(m, f, &own->to)))
		report_mismatch("a RST to a client goes elsewhere");
	if (!is_believed(f, to, own) && !f->doubtful)
		report_mismatch("flow %u: a RST to end %d that it won't believe: seq %u ack %u",
		                f->name, (int)to, own->seq, own->ack);
	report_about(FLOW_NONE);
	f->rsts[to]++;
	f->believed[to] |= f->voice[!to].spoke ? own->seq == f->voice[!to].next : true;
}

/* Whoever has to know does. */
static void check_told(const struct model *m, const struct flow_model *f)
{
	const struct rules_farm *farm = model_farm(m, f->farm);
	bool silent = f->ended_why == ENDED_IDLE && farm->on_idle == ON_IDLE_DROP;

	report_about(f->name);
	if (silent && (f->rsts[CLIENT] || f->rsts[SERVER]))
		report_mismatch("flow %u was to be forgotten silently", f->name);
	if (silent || f->ended_life != LIFE_OPEN || f->doubtful)
		return;
	for (unsigned e = 0; e < 2; e++)
		if (!f->believed[e])
			report_mismatch("flow %u: end %u wasn't told, in %u RSTs", f->name, e,
			                f->rsts[e]);
	report_about(FLOW_NONE);
}

void model_poll(struct model *m, const struct own *owns, unsigned n, lb_time now)
{
	m->now = now.ns;
	take_records(m);
	for (unsigned i = 0; i < n; i++)
		take_rst(m, &owns[i]);
	m->counts.counters[COUNTER_FLOWS_RESETS_SENT] += n;
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].life == LIFE_RESTING &&
		    (m->flows[i].ended == now.ns || m->flows[i].untold) &&
		    m->flows[i].reset_by_us) {
			check_told(m, &m->flows[i]);
			m->flows[i].untold = false;
		}
	check_overdue(m);
	m->moved = false;
	flows_model_rested(m, true);
}

/* ---- sums ---- */

#define SAME(engine, model, what)                                                                  \
	do {                                                                                       \
		if ((engine) != (model))                                                           \
			report_mismatch("%s: the engine has %llu, the model %llu", what,           \
			                (unsigned long long)(engine),                              \
			                (unsigned long long)(model));                              \
	} while (0)

/* How many rest tells, where it is one of the two extremes, which. */
static void settle_maybes(struct model *m, uint64_t resting)
{
	unsigned least = flows_model_resting(m, true), most = flows_model_resting(m, false);

	if (resting < least || resting > most)
		report_mismatch("%u flows rest, the model has %u to %u", (unsigned)resting, least,
		                most);
	if (least == most || (resting != least && resting != most))
		return;
	for (unsigned i = m->nflows; i-- > 0;) {
		if (m->flows[i].life != LIFE_RESTING || m->flows[i].there == YES)
			continue;
		if (resting == most)
			m->flows[i].there = YES;
		else
			flows_model_remove(m, &m->flows[i]);
	}
}

static void compare_servers(const struct model *m, const struct statistics *s)
{
	for (unsigned i = 0; i < m->rules->nservers; i++) {
		SAME(s->servers[i].connections, choice_model_connections(m, i), "connections");
		SAME(s->servers[i].total, m->servers[i].total, "connections_total");
		SAME(s->servers[i].ok, m->servers[i].ok, "probes_ok");
		SAME(s->servers[i].failed, m->servers[i].failed, "probes_failed");
		SAME(s->servers[i].health, m->servers[i].health, "health");
	}
}

static unsigned ports_of(const struct model *m, unsigned farm, const struct addr *snat,
                         bool for_sure)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		n += f->farm == farm && addr_eq(&f->snat, snat) && ports_model_has_pool(m, f) &&
		     (f->there == YES || !for_sure);
	}
	return n;
}

static void compare_ports(const struct model *m, const struct statistics *s)
{
	unsigned at = 0;

	for (unsigned f = 0; f < m->rules->nfarms; f++)
		for (unsigned i = 0; i < m->rules->farms[f].nsnat; i++, at++) {
			struct addr snat = addr_of_rules(m->rules, m->rules->farms[f].snat[i]);
			unsigned least = ports_of(m, f, &snat, true),
			         most = ports_of(m, f, &snat, false);

			if (s->ports_in_use[at] < least || s->ports_in_use[at] > most)
				report_mismatch("farm %u: ports_in_use is %u, expected %u to %u", f,
				                s->ports_in_use[at], least, most);
		}
}

void model_compare(struct model *m, const struct statistics *s)
{
	uint64_t sum = s->counters[COUNTER_FLOWS_OPEN];

	if (m->nended)
		report_mismatch("nothing explains why a flow has ended by %s",
		                ended_name((enum ended_why)m->ended->why));
	settle_maybes(m, s->counters[COUNTER_FLOWS_QUARANTINED]);
	for (unsigned i = 0; i < LB_NWHYS; i++)
		SAME(s->whys[i], m->counts.whys[i], lb_why_name((enum lb_why)i));
	for (unsigned i = 0; i < ENDED_WHYS; i++) {
		SAME(s->ended[i], m->counts.ended[i], ended_name((enum ended_why)i));
		sum += s->ended[i];
	}
	SAME(s->counters[COUNTER_FLOWS_CREATED], sum, "open + ended");
	counted_compare(m, s);
	compare_servers(m, s);
	compare_ports(m, s);
}
