/*
 * Other rules for a world that goes on: weights, states, limits, timeouts and what follows upon
 * death change, servers, services and SNAT addresses come and go. What decides where a frame
 * belongs stays.
 */
#include "world.h"

#include "../unit/random.h"

#include "../../lb/takeover.h"

#include <stdlib.h>

#define ONE_OF(...)                                                                                \
	((const uint32_t[]){                                                                       \
	        __VA_ARGS__})[random_below(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))]

static void *copy(const void *from, size_t n, size_t size)
{
	void *ret = from ? calloc(n + 1, size) : NULL;

	if (ret)
		memcpy(ret, from, n * size);
	return ret;
}

static void copy_farm(struct rules_farm *f)
{
	f->ports = copy(f->ports, f->nports, sizeof(*f->ports));
	f->server_ports = copy(f->server_ports, f->nports, sizeof(*f->server_ports));
	f->checks = copy(f->checks, f->nchecks, sizeof(*f->checks));
	f->snat = copy(f->snat, 2, sizeof(*f->snat));
	f->snat_ports = copy(f->snat_ports, f->nsnat_ports, sizeof(*f->snat_ports));
	f->connlog = strdup(f->connlog);
	f->access.first = copy(f->access.first, f->access.n, sizeof(*f->access.first));
	f->access.word = copy(f->access.word, f->access.n, sizeof(*f->access.word));
	f->exempt.first = copy(f->exempt.first, f->exempt.n, sizeof(*f->exempt.first));
	f->exempt.word = copy(f->exempt.word, f->exempt.n, sizeof(*f->exempt.word));
}

/* Room for names as rules_name() has it. */
static struct ip6 *copy_names(const struct rules *rules)
{
	size_t room = 1;
	struct ip6 *ret;

	while (room < rules->nnames)
		room *= 2;
	ret = calloc(room, sizeof(*ret));
	if (rules->nnames)
		memcpy(ret, rules->names, rules->nnames * sizeof(*ret));
	return ret;
}

static struct rules *copy_rules(const struct rules *rules)
{
	struct rules *ret = calloc(1, sizeof(*ret));

	*ret = *rules;
	ret->names = copy_names(rules);
	ret->farms = copy(rules->farms, rules->nfarms, sizeof(*ret->farms));
	for (unsigned f = 0; f < ret->nfarms; f++)
		copy_farm(&ret->farms[f]);
	ret->servers = calloc(MODEL_SERVERS, sizeof(*ret->servers));
	memcpy(ret->servers, rules->servers, rules->nservers * sizeof(*ret->servers));
	return ret;
}

void world_begin_reloads(struct world *w)
{
	w->file = copy_rules(w->rules);
	memset(w->out, 0, sizeof(w->out));
	for (unsigned f = 0; f < w->file->nfarms; f++)
		w->nports[f] = w->file->farms[f].nports;
}

static void change_server(struct world *w, unsigned s)
{
	struct rules_server *server = &w->file->servers[s];

	if (random_below(2))
		server->weight = (uint8_t)ONE_OF(1, 1, 2, 3, 7, 0);
	if (random_below(2))
		server->state = (enum rules_state)ONE_OF(0, 0, 0, STATE_STANDBY, STATE_LAST_RESORT,
		                                         STATE_DRAIN, STATE_DISABLED);
	if (random_below(3) == 0)
		server->max_connections = ONE_OF(0, 0, 5, 12, 20);
	if (random_below(3) == 0)
		w->out[s] = !w->out[s];
}

/* Those addresses that a farm may have: its VIP, and .38 and .39. Who shares servers has SNAT if
 * the other has. */
static void change_snat(struct world *w, unsigned farm)
{
	struct rules_farm *f = &w->file->farms[farm];
	const be32 first = f->snat[0], second = f->snat[1];

	if (f->nsnat < 1 || random_below(2))
		return;
	if (f->nsnat == 2 && random_below(2)) {
		f->snat[0] = second;
		f->snat[1] = first;
	} else {
		f->nsnat = be32_get(second) ? 3 - f->nsnat : 1;
		if (f->nsnat == 1 && be32_get(second)) {
			f->snat[0] = second;
			f->snat[1] = first;
		}
	}
}

/* With SNAT or without, where nobody else is concerned. */
static void turn_snat(struct world *w, unsigned farm)
{
	struct rules_farm *f = &w->file->farms[farm];

	for (unsigned g = 0; g < w->file->nfarms; g++)
		if (g != farm && be32_eq(w->file->farms[g].vip, f->vip))
			return;
	if (f->server_ports || random_below(3))
		return;
	if (!f->nsnat && !be32_get(f->snat[0]))
		f->snat[0] = f->vip;
	f->nsnat = !f->nsnat;
}

static void change_farm(struct world *w, unsigned farm)
{
	struct rules_farm *f = &w->file->farms[farm];

	f->idle_timeout_ms = ONE_OF(5000, 20000, 90000, 1800000);
	f->on_idle = random_below(3) ? ON_IDLE_RESET : ON_IDLE_DROP;
	f->on_down = random_below(3) ? ON_DOWN_RESET : ON_DOWN_KEEP;
	w->nports[farm] = 1 + random_below(f->nports);
	change_snat(w, farm);
	turn_snat(w, farm);
}

/* Takes the servers out that aren't in it; a farm has one at least. */
static void take_out(struct rules *rules, const bool *out)
{
	unsigned n = 0;

	for (unsigned f = 0; f < rules->nfarms; f++) {
		struct rules_farm *farm = &rules->farms[f];
		const unsigned first = farm->server, last = first + farm->nservers;

		farm->server = n;
		for (unsigned s = first; s < last; s++)
			if (!out[s] || (s + 1 == last && n == farm->server))
				rules->servers[n++] = rules->servers[s];
		farm->nservers = n - farm->server;
	}
	rules->nservers = n;
}

static struct rules *change(struct world *w)
{
	struct rules *ret;

	for (unsigned f = 0; f < w->file->nfarms; f++)
		if (random_below(2))
			change_farm(w, f);
	for (unsigned s = 0; s < w->file->nservers; s++)
		if (random_below(3) == 0)
			change_server(w, s);
	ret = copy_rules(w->file);
	take_out(ret, w->out);
	for (unsigned f = 0; f < ret->nfarms; f++)
		ret->farms[f].nports = w->nports[f];
	return ret;
}

void world_reload(struct world *w)
{
	const struct hash_key key = {{random_next(), random_next()}};
	struct rules *rules = change(w), *old = w->rules;
	bool referenced[MODEL_SERVERS] = {false}, used[MODEL_FARMS * 16] = {false};
	uint16_t map[MODEL_SERVERS];
	void *farms_mem = w->farms_mem;

	balance_referenced(lb_balance(w->lb), referenced);
	balance_referenced_snat(lb_balance(w->lb), used);
	if (takeover_rules(rules, old, referenced, used, map) != 0)
		report_mismatch("a reload fails");
	w->farms_mem = aligned_alloc(ARENA_ALIGN, farms_size(rules));
	memset(w->farms_mem, 0xa5, farms_size(rules));
	world_use_extras(w, rules);
	lb_reload(w->lb, farms_init(w->farms_mem, rules, &share_whole, &key, w->now), map);
	model_reload(&w->model, rules, map, w->now);
	w->rules = rules;
	world_place_servers(w);
	free(farms_mem);
	rules_free(old);
}
