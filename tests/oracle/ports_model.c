/*
 * Which SNAT ports may be taken.
 */
#include "parts.h"

bool ports_model_may_ever(const struct model *m, unsigned farm, const struct addr *snat,
                          unsigned port)
{
	const struct rules_farm *f = model_farm(m, farm);
	bool ret = false;

	for (unsigned i = 0; i < f->nsnat_ports; i++)
		ret |= port >= f->snat_ports[i].first && port <= f->snat_ports[i].last;
	if (port >= RULES_PROBE_PORT && port < RULES_PROBE_PORT + RULES_PROBE_PORTS)
		return false;
	for (unsigned g = 0; g < m->rules->nfarms; g++) {
		struct addr vip = addr_of_vip(m->rules, g);

		for (unsigned i = 0; addr_eq(&vip, snat) && i < model_farm(m, g)->nports; i++)
			ret &= be16_get(model_farm(m, g)->ports[i]) != port;
	}
	return ret;
}

/* Another service may be at the same port of the server. */
bool ports_model_has_pool(const struct model *m, const struct flow_model *f)
{
	const struct rules_farm *farm = model_farm(m, f->farm);
	bool service = false, address = false;

	for (unsigned i = 0; i < farm->nports; i++)
		service |= be16_get(farm->server_ports ? farm->server_ports[i] : farm->ports[i]) ==
		           f->server_port;
	for (unsigned i = 0; i < farm->nsnat; i++) {
		struct addr a = addr_of_rules(m->rules, farm->snat[i]);

		address |= addr_eq(&a, &f->snat);
	}
	return service && address;
}

/* The flow, if any, that holds the port for the service of the server. */
static const struct flow_model *holder(const struct model *m, unsigned server, unsigned service,
                                       const struct addr *snat, unsigned port)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->snat_port == port && addr_eq(&f->snat, snat) &&
		    flows_model_goes_to(m, f, server, service))
			return f;
	}
	return NULL;
}

static bool is_free(const struct model *m, unsigned server, unsigned service,
                    const struct addr *snat, unsigned port)
{
	unsigned farm = m->rules->servers[server].farm;

	return ports_model_may_ever(m, farm, snat, port) && !holder(m, server, service, snat, port);
}

bool ports_model_none_free(const struct model *m, unsigned farm, unsigned server, unsigned service)
{
	const struct rules_farm *f = model_farm(m, farm);

	for (unsigned i = 0; i < f->nsnat; i++) {
		struct addr snat = addr_of_rules(m->rules, f->snat[i]);

		for (unsigned r = 0; r < f->nsnat_ports; r++)
			for (unsigned p = f->snat_ports[r].first; p <= f->snat_ports[r].last; p++)
				if (is_free(m, server, service, &snat, p))
					return false;
	}
	return f->nsnat > 0;
}

enum maybe ports_model_reach(const struct model *m, unsigned farm, unsigned server,
                             unsigned service)
{
	enum maybe ret = NO;

	if (!ports_model_none_free(m, farm, server, service))
		return YES;
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];
		enum maybe gives = f->life == LIFE_RESTING ? f->there : flows_model_is_half_open(f);

		if (!ports_model_has_pool(m, f)) /* but who meets it may have it */
			gives = f->life == LIFE_RESTING ? MAYBE : NO;
		if (gives > ret && flows_model_goes_to(m, f, server, service))
			ret = gives;
	}
	return ret;
}

const struct flow_model *ports_model_longest_resting(const struct model *m, unsigned server,
                                                     unsigned service, const struct addr *snat)
{
	const struct flow_model *ret = NULL;

	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (flows_model_goes_to(m, f, server, service) && ports_model_has_pool(m, f) &&
		    f->life == LIFE_RESTING && (!snat || addr_eq(&f->snat, snat)) &&
		    f->there == YES && (!ret || f->order < ret->order))
			ret = f;
	}
	return ret;
}

/* If both are of the same client and port. */
static bool is_same_client(const struct flow_model *a, const struct flow_model *b)
{
	return a->farm == b->farm && a->vip_port == b->vip_port &&
	       a->client_port == b->client_port && addr_eq(&a->client, &b->client);
}

/* If a server in TIME_WAIT would take the SYN for a new connection (RFC 9293, 3.6.1); hosts here
 * have no timestamps. */
static bool is_later(const struct flow_model *old, const struct seen *s)
{
	return old->life == LIFE_RESTING &&
	       (old->doubtful || (int32_t)(s->seq - old->voice[CLIENT].next) > 0);
}

static void check_resting(const struct model *m, const struct flow_model *new,
                          const struct flow_model *by, const struct seen *s)
{
	const struct flow_model *longest =
	        ports_model_longest_resting(m, new->server, new->service, &new->snat);

	if (by->there != YES || !ports_model_has_pool(m, by) || /* the pools don't know of it */
	    (is_same_client(new, by) && by->snat_port == by->client_port && is_later(by, s)))
		return;
	if (!m->had_no_port && !ports_model_none_free(m, new->farm, new->server, new->service))
		report_mismatch("SNAT port %u, in quarantine since %llu ns, though others are free",
		                new->snat_port, (unsigned long long)(m->now - by->ended));
	if (longest != by)
		report_mismatch("SNAT port %u isn't the one that rests for longest, %u is",
		                new->snat_port, longest ? longest->snat_port : 0);
}

/* The client's own port is preferred where it is free for sure, or rests after himself: as far as
 * what he sends finds a flow of his that rests, this or a later one. */
static void check_own(const struct model *m, const struct flow_model *new,
                      const struct flow_model *old, const struct seen *s)
{
	const bool has_rested = old && old->life == LIFE_RESTING && old->there == YES;
	const struct rules_farm *f = model_farm(m, new->farm);

	/* who made room may have had it until then */
	if (new->snat_port == new->client_port || m->made_room)
		return;
	for (unsigned i = 0; i < f->nsnat; i++) {
		struct addr snat = addr_of_rules(m->rules, f->snat[i]);
		const struct flow_model *by =
		        holder(m, new->server, new->service, &snat, new->client_port);

		if (ports_model_may_ever(m, new->farm, &snat, new->client_port) &&
		    (!by ||
		     (has_rested && is_same_client(new, by) && !by->doubtful && is_later(by, s))))
			report_mismatch("SNAT port %u, though the client's own port %u is free",
			                new->snat_port, new->client_port);
	}
}

void ports_model_check(const struct model *m, const struct flow_model *new,
                       const struct flow_model *old, const struct seen *s)
{
	const struct rules_farm *f = model_farm(m, new->farm);
	const struct flow_model *by =
	        holder(m, new->server, new->service, &new->snat, new->snat_port);
	bool known = false;

	if (!f->nsnat) {
		if (!addr_eq(&new->snat, &new->client) || new->snat_port != new->client_port)
			report_mismatch("the source was changed, though snat = off");
		return;
	}
	for (unsigned i = 0; i < f->nsnat; i++) {
		struct addr snat = addr_of_rules(m->rules, f->snat[i]);

		known |= addr_eq(&snat, &new->snat);
	}
	if (!known || !ports_model_may_ever(m, new->farm, &new->snat, new->snat_port))
		report_mismatch("SNAT address or port %u isn't one of the farm's", new->snat_port);
	if (by && by == old && is_later(old, s))
		return;
	check_own(m, new, old, s);
	if (!by)
		return;
	if (by->life != LIFE_RESTING)
		report_mismatch("SNAT port %u is a live flow's", new->snat_port);
	check_resting(m, new, by, s);
}
