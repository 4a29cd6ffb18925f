/*
 * A reload: what live flows need stays. Farms keep their numbers here.
 *
 * README, "Reload": a server is known by its farm and address; one that is no longer in the file
 * has its flows until they end. A verdict goes along, but not one that nobody has checked: of a
 * server that is disabled, or that was away and comes back. An address for SNAT that flows have
 * stays ours.
 */
#include "parts.h"

/* The farm's server with the address, or SERVER_NONE. */
static unsigned server_of(const struct rules *rules, unsigned farm, const struct addr *addr)
{
	const struct rules_farm *f = &rules->farms[farm];

	for (unsigned s = f->server; s < f->server + f->nservers; s++) {
		struct addr a = addr_of_rules(rules, rules->servers[s].address);

		if (addr_eq(&a, addr))
			return s;
	}
	return SERVER_NONE;
}

/* If flows of the server are there, for sure; or may be. */
static bool has_flows(const struct model *m, unsigned server, bool for_sure)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		const struct flow_model *f = &m->flows[i];

		if (f->server == server &&
		    (f->life != LIFE_RESTING || f->there == YES || !for_sure))
			return true;
	}
	return false;
}

static void check_map(const struct model *m, const struct rules *rules, const uint16_t *map)
{
	for (unsigned s = 0; s < m->rules->nservers; s++) {
		struct addr a = addr_of_server(m->rules, s);
		unsigned to = server_of(rules, m->rules->servers[s].farm, &a);

		if (map[s] != to)
			report_mismatch("server %u is %u now, not %u", s, to, map[s]);
		if (to == SERVER_NONE && has_flows(m, s, true))
			report_mismatch("server %u is gone, and has flows", s);
		if (to != SERVER_NONE && rules->servers[to].gone && !has_flows(m, s, false))
			report_mismatch("server %u stays for nobody", s);
	}
}

/* The addresses that flows have are the farm's still. */
static void check_addresses(const struct rules *rules, const struct flow_model *f)
{
	const struct rules_farm *farm = &rules->farms[f->farm];
	bool found = false;

	if (f->life == LIFE_RESTING && f->there != YES)
		return;
	for (unsigned i = 0; i < rules_all_snat(farm); i++) {
		struct addr a = addr_of_rules(rules, farm->snat[i]);

		found |= addr_eq(&a, &f->snat);
	}
	if (addr_eq(&f->snat, &f->client))
		found = !farm->nsnat || farm->keeps_off;
	if (!found)
		report_mismatch("flow %u has a SNAT address that isn't ours any more", f->name);
}

static bool is_away(const struct rules_server *server)
{
	return server->state == STATE_DISABLED || server->gone;
}

static struct server_model unknown(unsigned nchecks)
{
	struct server_model ret = {.health = nchecks ? HEALTH_UNKNOWN : HEALTH_UP, .late = true};

	for (unsigned c = 0; c < MODEL_CHECKS; c++)
		ret.checks[c].up = MAYBE;
	return ret;
}

/* The old farm's check of that port, or -1. */
static int check_of(const struct rules_farm *farm, be16 port)
{
	for (unsigned i = 0; i < farm->nchecks; i++)
		if (be16_eq(farm->checks[i], port))
			return (int)i;
	return -1;
}

/* One that is new takes out no server that is up, unless it fails. */
static void move_checks(struct server_model *ret, const struct server_model *was,
                        const struct rules_farm *to, const struct rules_farm *from)
{
	ret->health = HEALTH_UP;
	for (unsigned c = 0; c < to->nchecks; c++) {
		const int before = check_of(from, to->checks[c]);

		ret->checks[c] = (struct check_model){.up = was->health == HEALTH_UP ? YES : MAYBE};
		if (before >= 0)
			ret->checks[c] = was->checks[before];
		if (ret->checks[c].up == NO)
			ret->health = HEALTH_DOWN;
		else if (ret->checks[c].up == MAYBE && ret->health == HEALTH_UP)
			ret->health = HEALTH_UNKNOWN;
	}
}

/* What is known of the server that was old, and is to now. */
static struct server_model inherit(const struct rules_server *old, const struct rules_server *to,
                                   const struct rules_farm *farm, const struct rules_farm *from,
                                   const struct server_model *was)
{
	struct server_model ret = *was;

	if (is_away(old) ? !is_away(to) : to->state == STATE_DISABLED) {
		ret = unknown(farm->nchecks);
		ret.total = was->total;
		ret.ok = was->ok;
		ret.failed = was->failed;
		ret.connect = was->connect;
		ret.connected = was->connected;
		ret.connect_is_unsure = was->connect_is_unsure;
	} else {
		move_checks(&ret, was, farm, from);
	}
	ret.turns = ret.passed = 0;
	return ret;
}

/* A server that is new to its farm is known if another one of the VIP had it: but not its flows. */
static struct server_model relative(const struct model *m, const struct rules *rules,
                                    unsigned server, const struct server_model *old)
{
	const unsigned farm = rules->servers[server].farm;
	struct addr a = addr_of_rules(rules, rules->servers[server].address);
	struct server_model ret = unknown(rules->farms[farm].nchecks);
	const struct addr vip = addr_of_rules(rules, rules->farms[farm].vip);

	for (unsigned f = 0; f < m->rules->nfarms; f++) {
		const struct addr other = addr_of_vip(m->rules, f);
		const unsigned s = server_of(m->rules, f, &a);

		if (!addr_eq(&vip, &other) || s == SERVER_NONE)
			continue;
		ret = inherit(&m->rules->servers[s], &rules->servers[server], &rules->farms[farm],
		              model_farm(m, f), &old[s]);
		ret.total = 0;
		ret.connected = 0;
		ret.connect_is_unsure = false;
		return ret;
	}
	return ret;
}

static void move_servers(struct model *m, const struct rules *rules, const uint16_t *map)
{
	struct server_model old[MODEL_SERVERS];

	memcpy(old, m->servers, sizeof(old));
	for (unsigned s = 0; s < rules->nservers; s++)
		m->servers[s] = relative(m, rules, s, old);
	for (unsigned s = 0; s < m->rules->nservers; s++)
		if (map[s] != SERVER_NONE)
			m->servers[map[s]] =
			        inherit(&m->rules->servers[s], &rules->servers[map[s]],
			                &rules->farms[rules->servers[map[s]].farm],
			                model_farm(m, m->rules->servers[s].farm), &old[s]);
}

static void move_flows(struct model *m, const struct rules *rules, const uint16_t *map)
{
	for (unsigned i = m->nflows; i-- > 0;) {
		struct flow_model *f = &m->flows[i];

		if (map[f->server] == SERVER_NONE) {
			flows_model_remove(m, f); /* it rested, and doesn't any more */
			continue;
		}
		f->server = map[f->server];
		check_addresses(rules, f);
	}
}

static void move_stickies(struct model *m, const uint16_t *map)
{
	for (unsigned i = m->nstickies; i-- > 0;) {
		if (map[m->stickies[i].server] == SERVER_NONE)
			m->stickies[i] = m->stickies[--m->nstickies];
		else
			m->stickies[i].server = map[m->stickies[i].server];
	}
}

/* Flows of servers that are down, by what is to be done with them now. */
static void condemn(struct model *m)
{
	for (unsigned i = 0; i < m->nflows; i++) {
		struct flow_model *f = &m->flows[i];

		if (f->life == LIFE_RESTING || m->servers[f->server].health != HEALTH_DOWN)
			continue;
		f->condemned |= model_farm(m, f->farm)->on_down == ON_DOWN_RESET ||
		                f->life == LIFE_HALF_OPEN || f->doubtful;
	}
}

void model_reload(struct model *m, const struct rules *rules, const uint16_t *map, lb_time now)
{
	m->now = now.ns;
	check_map(m, rules, map);
	move_servers(m, rules, map);
	move_flows(m, rules, map);
	move_stickies(m, map);
	m->nsourced = 0;
	memset(m->candidates, 0, sizeof(m->candidates));
	m->rules = rules;
	m->reloaded = now.ns;
	m->moved = true;
	condemn(m);
}
