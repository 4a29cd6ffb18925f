/*
 * The list of flows, live and resting.
 */
#include "parts.h"

#include <stdlib.h>

/* At which port of its server that is. */
static uint16_t server_port(const struct model *m, unsigned server, unsigned service)
{
	const struct rules_farm *farm = model_farm(m, m->rules->servers[server].farm);

	return be16_get(farm->server_ports ? farm->server_ports[service] : farm->ports[service]);
}

/* If it is one of the farm's, which may have none. */
static bool is_snat_of(const struct model *m, unsigned farm, const struct addr *snat)
{
	const struct rules_farm *rule = model_farm(m, farm);
	bool ret = !rule->nsnat;

	for (unsigned i = 0; i < rule->nsnat; i++) {
		struct addr a = addr_of_rules(m->rules, rule->snat[i]);

		ret |= addr_eq(&a, snat);
	}
	return ret;
}

bool flows_model_share_server(const struct model *m, const struct flow_model *a,
                              const struct flow_model *b)
{
	struct addr s = addr_of_server(m->rules, a->server),
	            t = addr_of_server(m->rules, b->server);

	return addr_eq(&s, &t) && a->server_port == b->server_port;
}

bool flows_model_goes_to(const struct model *m, const struct flow_model *f, unsigned server,
                         unsigned service)
{
	struct addr a = addr_of_server(m->rules, f->server), b = addr_of_server(m->rules, server);

	const unsigned farm = m->rules->servers[server].farm;

	return addr_eq(&a, &b) && is_snat_of(m, farm, &f->snat) &&
	       (!model_farm(m, farm)->nsnat ||
	        ports_model_may_ever(m, farm, &f->snat, f->snat_port)) &&
	       f->server_port == server_port(m, server, service);
}

static bool is_client(const struct model *m, const struct flow_model *f, const struct seen *s)
{
	struct addr vip = addr_of_vip(m->rules, f->farm);

	return f->listed && f->client_port == s->sport && f->vip_port == s->dport &&
	       addr_eq(&f->client, &s->src) && addr_eq(&vip, &s->dst);
}

static bool is_server(const struct model *m, const struct flow_model *f, const struct seen *s)
{
	struct addr server = addr_of_server(m->rules, f->server);

	return f->snat_port == s->dport && f->server_port == s->sport &&
	       addr_eq(&server, &s->src) && addr_eq(&f->snat, &s->dst);
}

struct flow_model *flows_model_find(struct model *m, const struct seen *s, enum end *ret_end)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		struct flow_model *f = &m->flows[i];

		if (is_client(m, f, s)) {
			*ret_end = CLIENT;
			return f;
		}
		if (is_server(m, f, s)) {
			*ret_end = SERVER;
			return f;
		}
	}
	return NULL;
}

struct flow_model *flows_model_add(struct model *m)
{
	if (m->nflows >= model_places(m) * MODEL_FLOWS_FACTOR)
		report_mismatch("the model has %u flows, the table %u places", m->nflows,
		                model_places(m));
	m->flows[m->nflows] = (struct flow_model){.there = YES, .listed = true};
	return &m->flows[m->nflows++];
}

struct flow_model *flows_model_older(struct model *m, const struct flow_model *f)
{
	for (unsigned i = 0; f->older && i < m->nflows; i++)
		if (m->flows[i].id == f->older && m->flows[i].life != LIFE_RESTING)
			return &m->flows[i];
	return NULL;
}

void flows_model_remove(struct model *m, struct flow_model *f)
{
	*f = m->flows[--m->nflows];
}

struct leaving flows_model_leaving(const struct model *m, const struct flow_model *f, enum end from)
{
	if (from == CLIENT)
		return (struct leaving){.src = f->snat,
		                        .sport = f->snat_port,
		                        .dst = addr_of_server(m->rules, f->server),
		                        .dport = f->server_port};
	return (struct leaving){.src = addr_of_vip(m->rules, f->farm),
	                        .sport = f->vip_port,
	                        .dst = f->client,
	                        .dport = f->client_port};
}

static struct addr record_client(const struct model *m, const struct ended *r)
{
	unsigned farm = m->rules->servers[r->server].farm;

	return name_is_ipv6(m->rules->farms[farm].vip) ? addr_of6(&r->client6)
	                                               : addr_of4(r->arrive[CLIENT].src);
}

static bool is_of(const struct model *m, const struct flow_model *f, const struct ended *r)
{
	struct addr client = record_client(m, r);
	struct addr snat = be32_eq(r->arrive[SERVER].dst, r->arrive[CLIENT].src)
	                           ? client
	                           : addr_of_rules(m->rules, r->arrive[SERVER].dst);

	return f->server == r->server && f->client_port == be16_get(r->arrive[CLIENT].sport) &&
	       f->snat_port == be16_get(r->arrive[SERVER].dport) &&
	       f->vip_port == be16_get(r->arrive[CLIENT].dport) && addr_eq(&f->client, &client) &&
	       addr_eq(&f->snat, &snat);
}

struct flow_model *flows_model_of_record(struct model *m, const struct ended *r)
{
	if (r->server >= m->rules->nservers)
		report_mismatch("a record of server %u, which isn't there", r->server);
	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].life != LIFE_RESTING && is_of(m, &m->flows[i], r))
			return &m->flows[i];
	return NULL;
}

bool flows_model_is_counted(const struct flow_model *f, const struct ended *r)
{
	return r->packets[CLIENT] == f->voice[CLIENT].packets &&
	       r->packets[SERVER] == f->voice[SERVER].packets;
}

static void check_record(const struct model *m, const struct flow_model *f, const struct ended *r)
{
	for (unsigned e = 0; e < 2; e++)
		if (r->bytes[e] != f->voice[e].bytes || r->packets[e] != f->voice[e].packets)
			report_mismatch("end %u sent %llu bytes in %u packets, the record says "
			                "%llu in %u",
			                e, (unsigned long long)f->voice[e].bytes,
			                f->voice[e].packets, (unsigned long long)r->bytes[e],
			                r->packets[e]);
	if (r->start.ns > f->made || r->start.ns + LB_NS_PER_MS <= f->made)
		report_mismatch("the record's start is wrong by %lld ns",
		                (long long)(r->start.ns - f->made));
	if (f->unrecorded ? r->end.ns > f->ended || r->end.ns + LB_NS_PER_MS <= f->ended
	                  : r->end.ns > m->now || r->end.ns + MODEL_EARLY_NS < f->last_any)
		report_mismatch("the record's end is wrong");
}

/* If a timer's end leaves the server no TIME_WAIT: it was reset, or closed second. */
static bool may_rest_briefly(const struct model *m, const struct flow_model *f)
{
	return f->doubtful || (f->ended_life == LIFE_CLOSING && !f->server_waits) ||
	       (f->ended_life == LIFE_OPEN && model_farm(m, f->farm)->on_idle == ON_IDLE_RESET);
}

static void set_rest(const struct model *m, struct flow_model *f, enum ended_why why)
{
	const uint64_t brief = NS_OF_S(BALANCE_QUARANTINE_SHORT_S),
	               whole = NS_OF_S(BALANCE_QUARANTINE_S);

	f->rest_least = brief;
	f->rest_most = whole;
	if (why == ENDED_IDLE)
		f->rest_least = may_rest_briefly(m, f) ? brief : whole;
	else if (why == ENDED_RST)
		f->rest_most = brief;
	else if (why == ENDED_FIN && f->doubtful == false)
		f->rest_least = f->rest_most = f->server_waits ? whole : brief;
}

static void begin_rest(struct model *m, struct flow_model *f, enum ended_why why)
{
	struct flow_model *older = f->listed ? flows_model_older(m, f) : NULL;

	m->counts.ended[why]++;
	if (older) { /* it never opened */
		older->listed = true;
		f->listed = false;
	}
	f->ended_life = f->life;
	f->ended_why = why;
	f->life = LIFE_RESTING;
	f->ended = m->now;
	f->order = m->order++;
	set_rest(m, f, why);
}

void flows_model_end(struct model *m, struct flow_model *f, enum ended_why why)
{
	check_record(m, f, m->ended);
	m->ended++;
	m->nended--;
	begin_rest(m, f, why);
}

void flows_model_reset(struct model *m, struct flow_model *f, enum end by)
{
	begin_rest(m, f, ENDED_RST);
	f->unrecorded = true;
	f->reset_by = by;
}

void flows_model_revive(struct model *m, struct flow_model *f)
{
	m->counts.ended[ENDED_RST]--;
	m->counts.counters[COUNTER_FLOWS_REVIVED]++;
	f->life = f->ended_life;
	f->there = YES;
	f->unrecorded = false;
	life_model_widen(f);
}

/* A record of a flow that an end has reset: it comes when the flow is given up, or in time. */
static bool bury(struct model *m, const struct ended *r)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		struct flow_model *f = &m->flows[i];

		if (!f->unrecorded || !is_of(m, f, r))
			continue;
		check_record(m, f, r);
		f->unrecorded = false;
		return true;
	}
	return false;
}

void flows_model_bury(struct model *m)
{
	unsigned left = 0;

	for (unsigned i = 0; i < m->nended; i++)
		if (m->ended[i].why != ENDED_RST || !bury(m, &m->ended[i]))
			m->ended[left++] = m->ended[i];
	m->nended = left;
}

void flows_model_rested(struct model *m, bool polled)
{
	for (unsigned i = m->nflows; i-- > 0;) {
		struct flow_model *f = &m->flows[i];

		if (f->life != LIFE_RESTING)
			continue;
		if (m->now + MODEL_EARLY_NS >= f->ended + f->rest_least)
			f->there = MAYBE;
		if (!polled || m->now < f->ended + f->rest_most + MODEL_LATE_NS)
			continue;
		if (f->unrecorded)
			report_mismatch("flow %u was reset, and there is no record of it", f->name);
		flows_model_remove(m, f);
	}
}

unsigned flows_model_live(const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++)
		n += m->flows[i].life != LIFE_RESTING;
	return n;
}

enum maybe flows_model_is_half_open(const struct flow_model *f)
{
	if (f->life == LIFE_RESTING)
		return NO;
	if (f->doubtful && !f->surely_open)
		return MAYBE;
	return f->life == LIFE_HALF_OPEN ? YES : NO;
}

unsigned flows_model_half_open(const struct model *m, bool for_sure)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++)
		n += flows_model_is_half_open(&m->flows[i]) > (for_sure ? MAYBE : NO);
	return n;
}

unsigned flows_model_unrecorded(const struct model *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++)
		n += m->flows[i].unrecorded;
	return n;
}

unsigned flows_model_resting(const struct model *m, bool for_sure)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++)
		n += m->flows[i].life == LIFE_RESTING && (m->flows[i].there == YES || !for_sure);
	return n;
}
