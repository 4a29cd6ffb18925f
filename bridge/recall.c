/*
 * The lines are described in operator/bundle.c. Flows become those of a process that is no more,
 * and are adopted (lb/adopt.c): so nothing that is read here is believed. Of the rest of the
 * engine's state what decides about connections is in a bundle: whose turn it was of the servers,
 * whether they were up, which server clients stick to and how near they are to their limits. What
 * isn't is listed in operator/bundle.c.
 */
#include "recall.h"

#include "recall_clients.h"
#include "recall_turns.h"

#include "process/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECALL_FORMAT = 7, RECALL_WORD_BYTES = 256 };

struct recalled_flow {
	uint16_t worker;
	struct flow flow;
	struct flow_cold cold;
	struct ip6 client6;
	struct hop hop;
};

struct recalled_server {
	char name[RULES_NAME_BYTES];
	enum rules_state state;
	unsigned weight;
	bool is_up, is_known;
	lb_time ramp;
	struct agent agent;
	enum side side;  /* where the host's routes lead to it, */
	struct ip6 next; /* by that one */
	struct hop hop;
};

struct recall {
	lb_time epoch, begun;
	struct hash_key key;
	struct share share; /* any worker's */
	struct mac macs[NSIDES];
	struct rules_nets nets; /* of the host */
	struct growing names, servers, turns, flows;
	struct recall_clients clients;
	struct memory arrays[RULES_WORKERS_MAX][TABLE_NARRAYS]; /* of the workers' engines */
};

/* ---- Reading ---- */

static bool take_state(struct recall *recall, char *rest)
{
	int format, layout;

	return sscanf(rest, "%d %d %" SCNu64 " %" SCNu64, &format, &layout, &recall->epoch.ns,
	              &recall->begun.ns) == 4 &&
	       format == RECALL_FORMAT && layout == TABLE_LAYOUT;
}

static bool take_key(struct recall *recall, char *rest)
{
	return sscanf(rest, "%16" SCNx64 "%16" SCNx64, &recall->key.k[0], &recall->key.k[1]) == 2;
}

static bool take_share(struct recall *recall, char *rest)
{
	struct share *share = &recall->share;
	int by_address;

	if (sscanf(rest, "%" SCNu16 " %d %" SCNu32, &share->n, &by_address, &share->salt) != 3)
		return false;
	share->by_address = by_address;
	return share->n >= 1 && share->n <= RULES_WORKERS_MAX;
}

static bool take_mac(struct recall *recall, char *rest)
{
	const char *side = strtok_r(NULL, " ", &rest);

	return side && (*side == '0' || *side == '1') &&
	       recall_take_hex(&rest, &recall->macs[*side - '0'], sizeof(struct mac));
}

static bool take_name(struct recall *recall, char *rest)
{
	struct ip6 *name = recall_grow(&recall->names, sizeof(*name));

	return name && recall_take_hex(&rest, name, sizeof(*name));
}

static bool take_net(struct recall *recall, char *rest)
{
	struct rules_net *net = &recall->nets.all[recall->nets.n];
	unsigned side, prefix;
	int at = 0;

	if (recall->nets.n == RULES_NETS_MAX || sscanf(rest, "%u %u%n", &side, &prefix, &at) != 2 ||
	    side >= NSIDES || prefix > 8 * sizeof(net->address))
		return false;
	rest += at;
	net->side = (uint8_t)side;
	net->prefix = (uint8_t)prefix;
	recall->nets.n++;
	return recall_take_hex(&rest, &net->address, sizeof(net->address));
}

/* The rest of a server's line: SIDE NEXT HOP. */
static bool take_place(struct recalled_server *server, char *rest)
{
	const char *side = strtok_r(NULL, " ", &rest);

	if (!side || (*side != '0' && *side != '1') ||
	    !recall_take_hex(&rest, &server->next, sizeof(server->next)))
		return false;
	server->side = (enum side)(*side - '0');
	server->is_known = rest && strcmp(rest, "-");
	return !server->is_known || recall_take_hex(&rest, &server->hop, sizeof(server->hop));
}

static bool take_server(struct recall *recall, char *rest)
{
	struct recalled_server *server = recall_grow(&recall->servers, sizeof(*server));
	char state[RECALL_WORD_BYTES], health[RECALL_WORD_BYTES];
	int at = 0, drains, maint;

	if (!server ||
	    sscanf(rest, "%63s %255s %u %255s %" SCNu64 " %d %d %" SCNu8 " %" SCNu32 "%n",
	           server->name, state, &server->weight, health, &server->ramp.ns, &drains, &maint,
	           &server->agent.percent, &server->agent.max_connections, &at) != 9)
		return false;
	server->agent.drains = drains;
	server->agent.maint = maint;
	while (server->state < RULES_NSTATES && strcmp(state, rules_state_words[server->state]))
		server->state++;
	server->is_up = !strcmp(health, health_name(HEALTH_UP));
	return server->state < RULES_NSTATES && take_place(server, rest + at);
}

static bool take_turn(struct recall *recall, char *rest)
{
	return recall_take_turn(&recall->turns, rest);
}

static bool take_flow(struct recall *recall, char *rest)
{
	struct recalled_flow *flow = recall_grow(&recall->flows, sizeof(*flow));
	int at = 0;

	if (!flow || sscanf(rest, "%" SCNu16 "%n", &flow->worker, &at) != 1)
		return false;
	rest += at;
	return recall_take_hex(&rest, &flow->flow, sizeof(flow->flow)) &&
	       recall_take_hex(&rest, &flow->cold, sizeof(flow->cold)) &&
	       recall_take_hex(&rest, &flow->client6, sizeof(flow->client6)) &&
	       recall_take_hex(&rest, &flow->hop, sizeof(flow->hop));
}

static bool take_sticky(struct recall *recall, char *rest)
{
	return recall_take_sticky(&recall->clients, rest);
}

static bool take_limited(struct recall *recall, char *rest)
{
	return recall_take_limited(&recall->clients, rest);
}

static bool take_line(struct recall *recall, char *line)
{
	static const struct {
		const char *word;
		bool (*take)(struct recall *recall, char *rest);
	} kinds[] = {{"state", take_state},   {"key", take_key},        {"share", take_share},
	             {"mac", take_mac},       {"name", take_name},      {"net", take_net},
	             {"server", take_server}, {"turn", take_turn},      {"flow", take_flow},
	             {"sticky", take_sticky}, {"limited", take_limited}};
	char *rest = strchr(line, ' ');

	line[strcspn(line, "\n")] = 0;
	if (!rest)
		return false;
	*rest++ = 0;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(line, kinds[i].word))
			return kinds[i].take(recall, rest);
	return false;
}

static int read_lines(struct recall *recall, const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned n = 0;
	char *line = NULL;
	size_t room = 0;
	bool good = file;

	if (!file) {
		log_error("%s: %m", path);
		return -errno;
	}
	while (good && getline(&line, &room, file) > 0) {
		n++;
		good = take_line(recall, line) && recall->epoch.ns;
	}
	good = good && recall->share.n;
	if (!good || !n)
		log_error("%s:%u: not what `capture --bundle` of this version writes", path, n);
	free(line);
	fclose(file);
	return good && n ? 0 : -EINVAL;
}

int recall_read(const char *directory, struct recall **ret)
{
	struct recall *recall = calloc(1, sizeof(*recall));
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/state", directory);
	err = recall ? read_lines(recall, path) : -ENOMEM;
	if (!err)
		*ret = recall;
	else
		recall_free(recall);
	return err;
}

void recall_free(struct recall *recall)
{
	if (!recall)
		return;
	for (unsigned k = 0; k < RULES_WORKERS_MAX; k++)
		for (unsigned a = 0; a < TABLE_NARRAYS; a++)
			memory_free(&recall->arrays[k][a]);
	free(recall->names.items);
	free(recall->servers.items);
	recall_free_turns(&recall->turns);
	free(recall->flows.items);
	recall_free_clients(&recall->clients);
	free(recall);
}

const struct hash_key *recall_key(const struct recall *recall)
{
	return &recall->key;
}

const struct share *recall_share(const struct recall *recall)
{
	return &recall->share;
}

lb_time recall_begun(const struct recall *recall)
{
	return recall->begun;
}

const struct mac *recall_macs(const struct recall *recall)
{
	return recall->macs;
}

/* ---- Servers ---- */

static const struct recalled_server *find_server(const struct recall *recall, const char *name)
{
	const struct recalled_server *servers = (const void *)recall->servers.items;

	for (uint32_t i = 0; i < recall->servers.n; i++)
		if (!strcmp(servers[i].name, name))
			return &servers[i];
	return NULL;
}

int recall_host(const char *directory, struct rules_nets *ret)
{
	struct recall *recall;
	int err = recall_read(directory, &recall);

	if (err)
		return err;
	*ret = recall->nets;
	recall_free(recall);
	return 0;
}

/* As the host's routes had it; false if memory runs out. */
static bool set_next(struct rules *rules, struct rules_server *server, const struct ip6 *next)
{
	if (!ip6_is_mapped(next))
		return rules_name(rules, next, &server->next) == 0;
	memcpy(&server->next, next->b + sizeof(*next) - sizeof(be32), sizeof(be32));
	return true;
}

void recall_rules(const struct recall *recall, struct rules *rules)
{
	static const be16 none;

	for (unsigned f = 0; f < rules->nfarms; f++) {
		rules->farms[f].nchecks = 0;
		rules->farms[f].agent = none;
	}
	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct recalled_server *server = find_server(recall, rules->servers[s].name);

		if (!server)
			continue;
		rules->servers[s].state = server->state;
		rules->servers[s].weight = (uint8_t)server->weight;
		if (rules_has_stack(rules) && set_next(rules, &rules->servers[s], &server->next))
			rules->servers[s].side = (uint8_t)server->side;
	}
}

static void recall_servers(const struct recall *recall, struct worker *worker, lb_time now)
{
	const struct rules *rules = worker->setup.rules;

	for (unsigned s = 0; s < rules->nservers; s++) {
		const struct recalled_server *server = find_server(recall, rules->servers[s].name);
		struct sighting place = {.ip = way_next(rules, s)};

		if (!server)
			continue;
		if (!server->is_up)
			lb_force_health(worker->lb, s, HEALTH_DOWN, now);
		health_recall(&worker->setup.farms->health, s, &server->agent, server->ramp);
		place.hop = server->hop;
		if (server->is_known)
			neigh_placed(worker->setup.neigh, &place, now);
	}
}

/* ---- Flows ---- */

static int take_arrays(struct memory memories[TABLE_NARRAYS], struct table *table)
{
	int err = 0;

	for (unsigned a = 0; a < TABLE_NARRAYS && !err; a++) {
		struct table_array *array = &table->arrays[a];

		err = memory_take(&memories[a], array->elements * array->element_bytes);
		array->memory = memories[a].at;
	}
	return err;
}

/* The flows of that worker, as many as there is room for. */
static void fill(const struct recall *recall, const struct table *table, unsigned worker)
{
	const uint32_t room = (uint32_t)table->arrays[TABLE_FLOWS].elements;
	const struct recalled_flow *from = (const void *)recall->flows.items;
	struct table_head *head = table->arrays[TABLE_HEAD].memory;
	struct flow *flows = table->arrays[TABLE_FLOWS].memory;
	struct flow_cold *cold = table->arrays[TABLE_COLD].memory;
	union flow_spare *spare = table->arrays[TABLE_SPARE].memory;
	struct ip6 *client6 = table->arrays[TABLE_CLIENT6].memory;
	uint32_t n = 0;

	for (uint32_t i = 0; i < recall->flows.n && n < room; i++) {
		if (from[i].worker != worker)
			continue;
		flows[n] = from[i].flow;
		flows[n].hop = HOPS_OWN;
		cold[n] = from[i].cold;
		spare[n].hop = from[i].hop;
		client6[n++] = from[i].client6;
	}
	if (recall->names.n && recall->names.n <= table->arrays[TABLE_NAMES].elements) {
		memcpy(table->arrays[TABLE_NAMES].memory, recall->names.items,
		       recall->names.n * sizeof(struct ip6));
		head->nnames = recall->names.n;
	}
}

/* Makes the worker's engine anew, over arrays with the flows in them. */
static int adopt(struct worker *worker, struct table *table, struct memory *scratch, lb_time now)
{
	const struct mac macs[NSIDES] = {worker->ports[OUTSIDE]->mac, worker->ports[INSIDE]->mac};
	struct lb *lb = lb_adopt(worker->memory.at, table, scratch->at, worker->setup.farms, macs,
	                         now, &worker->adoption);

	if (!lb)
		return -EINVAL;
	worker->lb = lb;
	worker_reuse_extras(worker, now);
	return 0;
}

static int recall_flows(struct recall *recall, struct worker *worker, lb_time now)
{
	const struct mac macs[NSIDES] = {worker->ports[OUTSIDE]->mac, worker->ports[INSIDE]->mac};
	struct table table = {0};
	struct memory mem = {0}, scratch = {0};
	const size_t bytes = lb_table_sizes(worker->setup.rules, &worker->share, &table);
	const struct table_array *buckets = &table.arrays[TABLE_BUCKETS];
	int err = take_arrays(recall->arrays[worker->share.worker], &table);

	if (!err)
		err = memory_take(&mem, bytes);
	if (!err)
		err = memory_take(&scratch, buckets->elements * buckets->element_bytes);
	if (!err) {
		memory_free(&worker->memory);
		worker->memory = mem;
		worker->lb = lb_init_shared(mem.at, &table, worker->setup.farms, &recall->key, macs,
		                            recall->epoch);
		fill(recall, &table, worker->share.worker);
		table.keep_half_open = true;
		err = adopt(worker, &table, &scratch, now);
	} else {
		memory_free(&mem);
	}
	memory_free(&scratch);
	return err;
}

static int recall_worker(struct recall *recall, struct worker *worker, lb_time now)
{
	int err = recall_flows(recall, worker, now);

	if (err)
		return err;
	recall_servers(recall, worker, now);
	recall_turns(&recall->turns, worker);
	recall_clients(&recall->clients, worker, (const void *)recall->names.items, recall->names.n,
	               now);
	return 0;
}

static void log_adoption(const struct workers *workers)
{
	const struct adoption sum = workers_adoption(workers);

	log_info("%" PRIu32 " connections go on, %" PRIu32 " of them half-open, %" PRIu32
	         " have ended, %" PRIu32 " don't fit the rules",
	         sum.open, sum.half_open, sum.quarantined, sum.unfit + sum.damaged);
}

int recall_workers(struct recall *recall, struct workers *workers, lb_time now)
{
	int err = 0;

	if (recall->epoch.ns > now.ns) {
		log_error("the bundle: it begins after its captures");
		return -EINVAL;
	}
	for (unsigned k = 0; k < workers->n && !err; k++)
		err = recall_worker(recall, &workers->worker[k], now);
	if (!err)
		log_adoption(workers);
	return err;
}
