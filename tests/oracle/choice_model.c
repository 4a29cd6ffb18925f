/*
 * Schedulers, health and persistence: which servers may be given a connection.
 *
 * cfg/README.md, "scheduler", and bridge/OPERATING.md, "Health and failover". Loads are compared as
 * fractions of weights, each grown since the server's return; where the engine may see a step of
 * that growth a moment sooner or later, both are allowed.
 */
#include "parts.h"

enum { HEALTHY = HEALTH_RAMP_STEPS };

struct burden {
	uint32_t load_least, load_most;
	uint32_t weight_least, weight_most;
};

static bool is_up_as(const struct model *m, unsigned s, enum rules_state state)
{
	return m->servers[s].health == HEALTH_UP && model_server(m, s)->weight > 0 &&
	       model_server(m, s)->state == state;
}

static bool any_is(const struct model *m, unsigned farm, enum rules_state state)
{
	const struct rules_farm *f = model_farm(m, farm);

	for (unsigned s = f->server; s < f->server + f->nservers; s++)
		if (is_up_as(m, s, state))
			return true;
	return false;
}

bool choice_model_may_take(const struct model *m, unsigned s)
{
	const unsigned farm = model_server(m, s)->farm;

	if (is_up_as(m, s, STATE_ACTIVE))
		return true;
	if (any_is(m, farm, STATE_ACTIVE))
		return false;
	return is_up_as(m, s, STATE_STANDBY) ||
	       (is_up_as(m, s, STATE_LAST_RESORT) && !any_is(m, farm, STATE_STANDBY));
}

bool choice_model_farm_is_up(const struct model *m, unsigned farm)
{
	const struct rules_farm *f = model_farm(m, farm);

	for (unsigned s = f->server; s < f->server + f->nservers; s++)
		if (choice_model_may_take(m, s))
			return true;
	return false;
}

unsigned choice_model_connections(const struct model *m, unsigned server)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->nflows; i++)
		n += m->flows[i].server == server && m->flows[i].life != LIFE_RESTING;
	return n;
}

bool choice_model_is_full(const struct model *m, unsigned s)
{
	return model_server(m, s)->max_connections &&
	       choice_model_connections(m, s) >= model_server(m, s)->max_connections;
}

/* If the flow makes room at its server: it has 100 ms to open, by a clock of ms. */
static enum maybe makes_room(const struct model *m, const struct flow_model *f)
{
	const uint64_t ms = LB_NS_PER_S / 1000, age = m->now - f->made;
	const enum maybe old = age < 99 * ms    ? NO
	                       : age < 101 * ms ? MAYBE
	                                        : YES,
	                 half_open = flows_model_is_half_open(f);

	return old < half_open ? old : half_open;
}

/* If a connection of the server would make room for another one, client being the one who asks if
 * those who are known are let in (or NULL). */
static enum maybe would_make_room(struct model *m, unsigned s, const struct addr *client)
{
	enum maybe ret = client && crowd_model_makes_room(m, s, client) ? YES : NO, does;

	for (unsigned i = 0; i < m->nflows && ret != YES; i++) {
		if (m->flows[i].server != s)
			continue;
		does = makes_room(m, &m->flows[i]);
		if (does == NO && client)
			does = crowd_model_may_make_room(m, &m->flows[i], client);
		ret = does > ret ? does : ret;
	}
	return ret;
}

/* Steps of the whole weight, the step being as early or as late as can be. */
static uint32_t grown(const struct model *m, unsigned s, bool late)
{
	const uint64_t step = NS_OF_S(HEALTH_RAMP_S) / HEALTH_RAMP_STEPS;
	uint64_t since = m->now - m->servers[s].since, steps;

	if (!m->servers[s].returned)
		return HEALTHY;
	steps = 1 + since / step;
	if (late)
		steps = steps > 1 ? steps - 1 : 1;
	else
		steps++;
	return steps > HEALTHY ? HEALTHY : (uint32_t)steps;
}

static struct burden burden_of(const struct model *m, unsigned s)
{
	const bool lc = model_farm(m, model_server(m, s)->farm)->scheduler == SCHED_LC;
	const uint32_t weight = lc ? 1 : model_server(m, s)->weight;
	struct burden burden = {0, 0, weight * grown(m, s, true), weight * grown(m, s, false)};

	for (unsigned i = 0; i < m->nflows; i++) {
		if (m->flows[i].server != s)
			continue;
		burden.load_least += life_model_is_load(&m->flows[i]) == YES;
		burden.load_most += life_model_is_load(&m->flows[i]) != NO;
	}
	return burden;
}

/* Those of the candidates that may have the least load for their weight, beside rivals. */
static uint32_t least_loaded(const struct model *m, uint32_t candidates, uint32_t rivals)
{
	struct burden burdens[MODEL_SERVERS];
	uint32_t ret = candidates;

	for (unsigned s = 0; s < m->rules->nservers; s++)
		if ((candidates | rivals) >> s & 1)
			burdens[s] = burden_of(m, s);
	for (unsigned s = 0; s < m->rules->nservers; s++)
		for (unsigned t = 0; t < m->rules->nservers; t++)
			if (candidates >> s & 1 && rivals >> t & 1 &&
			    (uint64_t)burdens[s].load_least * burdens[t].weight_least >
			            (uint64_t)burdens[t].load_most * burdens[s].weight_most)
				ret &= ~(1u << s);
	return ret;
}

/* The port, as far as the choice goes by it. */
static unsigned port_in(const struct model *m, unsigned farm, unsigned port)
{
	return model_farm(m, farm)->scheduler == SCHED_HASH ? port : 0;
}

/*
 * A client, or its port, always gets the same one, and the loss of a server moves only what it had.
 */
static uint32_t sourced(const struct model *m, unsigned farm, const struct addr *client,
                        unsigned port, uint32_t candidates)
{
	uint32_t ret = candidates;

	for (unsigned i = 0; i < m->nsourced; i++) {
		const struct sourced *old = &m->sourced[i];
		const uint32_t his = 1u << old->server;

		if (old->farm != farm || old->port != port_in(m, farm, port) ||
		    !addr_eq(&old->client, client))
			continue;
		if ((candidates & old->candidates) == candidates && candidates & his)
			ret &= his; /* some have gone, and not his */
		if ((candidates & old->candidates) == old->candidates)
			ret &= his | ~old->candidates; /* none has gone */
	}
	return ret;
}

/* What is left by now of what a server's mean was. */
static double worth(const struct model *m, const struct server_model *its)
{
	double ret = 1;

	for (uint64_t ns = m->now - its->connected; ns >= NS_OF_S(FASTEST_FORGET_S) && ret > 1e-9;
	     ns -= NS_OF_S(FASTEST_FORGET_S))
		ret /= 2;
	return ret;
}

/* A server took so long to answer. If that can't be told, nothing is any more. */
void choice_model_answered(struct model *m, unsigned server, double ns, bool sure)
{
	struct server_model *its = &m->servers[server];
	const double old = its->connected ? worth(m, its) * 7 / 8 : 0;

	if (ns > FASTEST_UNANSWERED_NS)
		ns = FASTEST_UNANSWERED_NS;
	its->connect = ns + (its->connect - ns) * old;
	its->connect_is_unsure |= !sure;
	its->connected = m->now;
}

/* What a connection to the server costs: connect time, by those underway, for the weight. */
static double cost(const struct model *m, unsigned s, bool most)
{
	const struct server_model *its = &m->servers[s];
	const double weight = model_server(m, s)->weight * (double)grown(m, s, most),
	             mean = !its->connect_is_unsure ? its->connect * worth(m, its)
	                    : most                  ? (double)FASTEST_UNANSWERED_NS
	                                            : 0;
	unsigned underway = 1;

	for (unsigned i = 0; i < m->nflows; i++)
		if (m->flows[i].server == s)
			underway += flows_model_is_half_open(&m->flows[i]) >= (most ? MAYBE : YES);
	return (most ? 1001 + mean * 1.001 : 999 + mean * .999) * underway / weight;
}

/* Of two by lot the better one: so never the worst, if there are two at least that could be had. */
static uint32_t fast(const struct model *m, unsigned farm, uint32_t candidates)
{
	const struct rules_farm *f = model_farm(m, farm);
	uint32_t ret = candidates;

	for (unsigned s = f->server; s < f->server + f->nservers; s++)
		if (choice_model_may_take(m, s) && !(candidates >> s & 1))
			return candidates; /* whoever was drawn beside it had no rival */
	for (unsigned s = f->server; s < f->server + f->nservers; s++) {
		bool worst = candidates >> s & 1;

		for (unsigned t = f->server; t < f->server + f->nservers; t++)
			if (t != s && candidates >> t & 1)
				worst &= cost(m, s, false) > cost(m, t, true);
		if (worst && candidates != 1u << s)
			ret &= ~(1u << s);
	}
	return ret;
}

/* Who may be chosen if all candidates, and perhaps some of the possible ones too, can be. */
static uint32_t scheduled(struct model *m, unsigned farm, const struct addr *client, unsigned port,
                          uint32_t candidates, uint32_t possible)
{
	switch (model_farm(m, farm)->scheduler) {
	case SCHED_WLC:
	case SCHED_LC:
		return least_loaded(m, candidates | possible, candidates);
	case SCHED_SOURCE:
	case SCHED_HASH:
		return possible ? candidates | possible
		                : sourced(m, farm, client, port, candidates);
	case SCHED_FASTEST:
		return possible ? candidates | possible : fast(m, farm, candidates);
	case SCHED_WRR:
	case SCHED_RR: /* whose turn it is: see choice_model_chosen() */
	case RULES_NSCHEDULERS:
		break;
	}
	return candidates | possible;
}

/* The servers, as bits, that have room, by how sure that is, and by whether somebody has to make
 * it; and those that can be reached as well. */
struct rooms {
	uint32_t has_room[2][3], reached[2][3]; /* [made][enum maybe] */
};

static struct rooms rooms_of(struct model *m, unsigned farm, unsigned service,
                             const struct addr *client)
{
	const struct rules_farm *f = model_farm(m, farm);
	struct rooms ret = {0};

	for (unsigned s = f->server; s < f->server + f->nservers; s++) {
		const bool full = choice_model_is_full(m, s);
		const enum maybe room = full ? would_make_room(m, s, client) : YES,
		                 reach = ports_model_reach(m, farm, s, service);

		if (!choice_model_may_take(m, s))
			continue;
		ret.has_room[full][room] |= 1u << s;
		ret.reached[full][room < reach ? room : reach] |= 1u << s;
	}
	return ret;
}

static void doubt(uint32_t servers[3])
{
	servers[MAYBE] |= servers[YES];
	servers[YES] = 0;
}

/* Who is known is let in only where nobody else would be: for sure if there is surely none. */
static struct rooms rooms_for(struct model *m, unsigned farm, unsigned service,
                              const struct addr *client)
{
	const struct rooms others = rooms_of(m, farm, service, NULL);
	struct rooms ret;

	if (others.has_room[0][YES] | others.has_room[1][YES])
		return others;
	ret = rooms_of(m, farm, service, client);
	if (others.has_room[1][MAYBE]) {
		doubt(ret.has_room[1]);
		doubt(ret.reached[1]);
	}
	return ret;
}

uint64_t choice_model_servers(struct model *m, unsigned farm, unsigned service,
                              const struct addr *client, unsigned port, uint32_t *ret)
{
	const struct rooms r = rooms_for(m, farm, service, client);
	const uint32_t sure = r.reached[0][YES] | r.reached[1][YES],
	               maybe = r.reached[0][MAYBE] | r.reached[1][MAYBE];
	const bool made = !(r.reached[0][YES] | r.reached[0][MAYBE]);
	uint32_t possible = r.reached[made][MAYBE];
	uint64_t whys = 0;
	bool must;

	*ret = 0;
	if (!choice_model_farm_is_up(m, farm))
		return 1ull << WHY_NO_SERVER;
	if (!(r.has_room[0][YES] | r.has_room[1][YES]))
		whys |= 1ull << WHY_SERVERS_FULL;
	if (!sure && r.has_room[0][YES] | r.has_room[1][YES] | r.has_room[1][MAYBE])
		whys |= 1ull << WHY_SNAT_EXHAUSTED;
	if (!(sure | maybe))
		return whys;
	if (!made && !r.reached[0][YES])
		possible |= r.reached[1][YES] | r.reached[1][MAYBE];
	m->last_candidates = r.reached[made][YES] | possible;
	m->choice_is_unsure = possible != 0;
	*ret = sticky_model_candidates(m, farm, client, sure, maybe, &must);
	if (!must)
		*ret |= made ? m->last_candidates
		             : scheduled(m, farm, client, port, r.reached[0][YES], possible);
	return whys | 1ull << WHY_FLOW_NEW;
}

/* Turns that servers have had since the candidates changed must be as their weights. */
static void check_turns(const struct model *m, unsigned farm, uint32_t candidates)
{
	const bool rr = model_farm(m, farm)->scheduler == SCHED_RR;

	for (unsigned s = 0; s < m->rules->nservers; s++)
		for (unsigned t = 0; t < m->rules->nservers; t++) {
			uint32_t w = rr ? 1 : model_server(m, s)->weight,
			         v = rr ? 1 : model_server(m, t)->weight;

			if (!(candidates >> s & 1) || !(candidates >> t & 1))
				continue;
			/* turns / weight differ by no more than a turn of each */
			if (m->servers[s].turns * v > m->servers[t].turns * w + w + v)
				report_mismatch("server %u of weight %u has had %u turns, server "
				                "%u of weight %u %u",
				                s, w, m->servers[s].turns, t, v,
				                m->servers[t].turns);
		}
}

/* When it can't be told who was to choose from: turns are counted anew. */
void choice_model_forget_turns(struct model *m, unsigned farm)
{
	m->candidates[farm] = 0;
}

/* Counts the server's turn, of those since the candidates changed. */
static void count_turn(struct model *m, unsigned farm, unsigned server)
{
	const struct rules_farm *f = model_farm(m, farm);

	if (m->candidates[farm] != m->last_candidates) {
		m->candidates[farm] = m->last_candidates;
		for (unsigned s = f->server; s < f->server + f->nservers; s++)
			m->servers[s].turns = m->servers[s].passed = 0;
	}
	m->servers[server].turns++;
}

static uint32_t weight_in_turns(const struct model *m, unsigned s)
{
	return model_farm(m, model_server(m, s)->farm)->scheduler == SCHED_LC
	               ? 1
	               : model_server(m, s)->weight;
}

/* If two servers are as loaded as each other beyond doubt. */
static bool surely_equal(const struct model *m, unsigned s, unsigned t)
{
	const struct burden a = burden_of(m, s), b = burden_of(m, t);

	return a.load_least == a.load_most && b.load_least == b.load_most &&
	       !m->servers[s].returned && !m->servers[t].returned &&
	       a.load_least * b.weight_least == b.load_least * a.weight_least;
}

/* Among equals the choice rotates: none that has had no more turns may be passed over for long. */
static void count_passed(struct model *m, unsigned farm, unsigned server, uint32_t allowed)
{
	const struct rules_farm *f = model_farm(m, farm);
	uint32_t weights = 0;

	for (unsigned s = f->server; s < f->server + f->nservers; s++)
		weights += model_server(m, s)->weight;
	for (unsigned s = f->server; s < f->server + f->nservers; s++) {
		struct server_model *its = &m->servers[s];
		bool had_more = its->turns * weight_in_turns(m, server) >
		                m->servers[server].turns * weight_in_turns(m, s);

		if (s == server || !(allowed >> s & 1)) {
			its->passed = 0;
			continue;
		}
		its->passed += !had_more && surely_equal(m, s, server);
		if (its->passed > 2 * weights / weight_in_turns(m, s) + 2)
			report_mismatch("server %u, an equal, has been passed over %u times", s,
			                its->passed);
	}
}

static void note_sourced(struct model *m, unsigned farm, const struct addr *client, unsigned port,
                         unsigned server)
{
	port = port_in(m, farm, port);
	for (unsigned i = 0; i < m->nsourced; i++)
		if (m->sourced[i].farm == farm && m->sourced[i].candidates == m->last_candidates &&
		    m->sourced[i].port == port && addr_eq(&m->sourced[i].client, client))
			return;
	if (m->nsourced < MODEL_SOURCED)
		m->sourced[m->nsourced++] = (struct sourced){.farm = farm,
		                                             .server = server,
		                                             .port = port,
		                                             .client = *client,
		                                             .candidates = m->last_candidates};
}

static bool is_hashed(const struct rules_farm *f)
{
	return f->scheduler == SCHED_SOURCE || f->scheduler == SCHED_HASH;
}

void choice_model_chosen(struct model *m, unsigned farm, const struct addr *client, unsigned port,
                         unsigned server, uint32_t allowed)
{
	const struct rules_farm *f = model_farm(m, farm);
	bool must;

	if (server >= m->rules->nservers || !(allowed >> server & 1))
		report_mismatch("server %u was chosen, allowed are %x", server, allowed);
	if (is_hashed(f) && !m->made_room && !m->choice_is_unsure &&
	    !sticky_model_candidates(m, farm, client, 0, ~0u, &must))
		note_sourced(m, farm, client, port, server);
	if (f->persist_ms)
		sticky_model_add(m, client, server)->used =
		        m->now; /* he doesn't wait for his turn */
	else
		count_turn(m, farm, server);
	if (m->choice_is_unsure)
		choice_model_forget_turns(m, farm);
	if (f->persist_ms || is_hashed(f) || f->scheduler == SCHED_FASTEST || m->choice_is_unsure)
		return;
	if (f->scheduler == SCHED_WRR || f->scheduler == SCHED_RR)
		check_turns(m, farm, m->last_candidates);
	else if (!m->made_room)
		count_passed(m, farm, server, allowed);
}
