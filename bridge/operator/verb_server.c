/*
 * server drain, enable, disable, weight; farm drain, enable: who gets connections.
 */
#include "verb.h"

#include "../process/clock.h"
#include "../process/log.h"
#include "../../cfg/nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ---- */

static int find_server(const struct rules *rules, const char *name, struct nearest *nearest)
{
	*nearest = (struct nearest){.word = name};
	for (unsigned s = 0; s < rules->nservers; s++) {
		nearest_offer(nearest, rules->servers[s].name);
		if (!strcmp(rules->servers[s].name, name))
			return (int)s;
	}
	return -1;
}

static int find_farm(const struct rules *rules, const char *name, struct nearest *nearest)
{
	*nearest = (struct nearest){.word = name};
	for (unsigned f = 0; f < rules->nfarms; f++) {
		nearest_offer(nearest, rules->farms[f].name);
		if (!strcmp(rules->farms[f].name, name))
			return (int)f;
	}
	return -1;
}

/* The first of that many words is a server in the file. Returns its number, or -1 with the answer
 * ended, by the usage if there are more or fewer. */
static int take_server(const struct world *world, struct client *client, struct request *request,
                       unsigned words, const char *usage)
{
	const struct rules *rules = world->crew->workers.rules;
	struct nearest nearest;
	int s;

	if (request->n != words) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL, "%s", usage);
		return -1;
	}
	s = find_server(rules, request->words[0], &nearest);
	if (s < 0)
		answer_fail(&client->answer, ANSWER_NO_OBJECT, "no_such_server",
		            nearest_best(&nearest), "%s: no such server", request->words[0]);
	else if (rules->servers[s].gone)
		answer_fail(&client->answer, ANSWER_REFUSED, "removed", NULL,
		            "%s: is no longer in the file: only its flows are left",
		            request->words[0]);
	return s >= 0 && rules->servers[s].gone ? -1 : s;
}

/* ---- Changing ---- */

static uint32_t present(const struct rules_server *server, enum override_key key)
{
	return key == OVERRIDE_STATE ? server->state : server->weight;
}

/* Lays value over what the file says of a server; or takes away what lies there, if that is the
 * same. */
static bool lay(struct world *world, const struct client *client, const struct rules_server *server,
                enum override_key key, uint32_t value)
{
	const struct override *before = overrides_find(world->overrides, server->name, key);
	struct override override = {.key = key,
	                            .value = value,
	                            .in_file = before ? before->in_file : present(server, key),
	                            .uid = client->peer.uid,
	                            .when_ms = (int64_t)(clock_wall() / LB_NS_PER_MS)};

	strcpy(override.server, server->name);
	if (value != override.in_file)
		return overrides_set(world->overrides, &override);
	overrides_drop(world->overrides, server->name, key);
	return true;
}

/* Puts what has been laid over the file in force, or takes it back. False with the answer ended. */
static bool put_in_force(struct world *world, struct client *client, const struct overrides *before,
                         bool laid)
{
	int err = laid ? world->reload(world->ctx, false) : -ENOSPC;

	if (!err)
		return true;
	*world->overrides = *before;
	answer_fail(&client->answer, ANSWER_FAILED, "not_changed", NULL, "nothing has changed: %s",
	            err == -ENOSPC ? "too many overrides: see config diff" : strerror(-err));
	return false;
}

static void say(struct client *client, const struct rules *rules, unsigned s, enum override_key key,
                uint32_t was)
{
	const uint32_t value = present(&rules->servers[s], key);
	const char *name = rules->servers[s].name, *of = override_key_name(key), *is, *before;
	char texts[2][OVERRIDE_VALUE_BYTES];

	is = override_value(key, value, texts[0]);
	before = override_value(key, was, texts[1]);
	answer_record(&client->answer,
	              "{\"server_name\":\"%s\",\"key\":\"%s\",\"value\":\"%s\",\"was\":\"%s\","
	              "\"text\":\"server %s: %s: %s%s%s\"}",
	              name, of, is, before, name, of, before, value == was ? "" : " -> ",
	              value == was ? " already" : is);
}

/* Changes a key of a server, and says so. False with the answer ended. */
static bool change(struct world *world, struct client *client, unsigned s, enum override_key key,
                   uint32_t value)
{
	const struct rules *rules = world->crew->workers.rules;
	const struct overrides before = *world->overrides;
	const uint32_t was = present(&rules->servers[s], key);
	char name[RULES_NAME_BYTES];
	struct nearest nearest;
	int now;

	strcpy(name, rules->servers[s].name);
	if (!put_in_force(world, client, &before,
	                  lay(world, client, &rules->servers[s], key, value)))
		return false;
	rules = world->crew->workers.rules; /* others, with other numbers */
	now = find_server(rules, name, &nearest);
	if (now >= 0)
		say(client, rules, (unsigned)now, key, was);
	return true;
}

/* ---- Waiting until it is empty ---- */

struct count {
	char server[RULES_NAME_BYTES];
	uint32_t connections[RULES_WORKERS_MAX]; /* by worker */
};

static bool count(struct worker *worker, void *ctx, lb_time now)
{
	struct count *count = ctx;
	const struct rules *rules = worker->setup.rules;

	(void)now;
	for (unsigned s = 0; s < rules->nservers; s++)
		if (!strcmp(rules->servers[s].name, count->server))
			count->connections[worker->share.worker] +=
			        worker->setup.farms->sched.servers[s].connections;
	return false;
}

/*
 * Counts the live flows of a server; 0 if it isn't there any more. False if a worker doesn't move,
 * or memory runs out.
 */
static bool count_connections(struct world *world, const char *server, uint32_t *ret)
{
	struct count *each = calloc(1, sizeof(*each));
	int err;

	if (!each)
		return false;
	strcpy(each->server, server);
	err = crew_errand(world->crew, count, each);
	for (unsigned k = *ret = 0; !err && k < world->crew->n; k++)
		*ret += each->connections[k];
	crew_dispose(world->crew, each, free);
	return !err;
}

static void say_left(struct client *client, uint32_t n)
{
	answer_record(&client->answer,
	              "{\"connections\":%" PRIu32 ",\"text\":\"server %s: %" PRIu32
	              " connection%s left\"}",
	              n, client->wait.server, n, n == 1 ? "" : "s");
}

/* Ends what is left of a server's flows, as `flow reset` does. */
static void reset_rest(struct world *world, struct client *client, lb_time now)
{
	char words[2][RULES_NAME_BYTES] = {"server"};
	struct request request = {.words = {words[0], words[1]}, .n = 2};

	strcpy(words[1], client->wait.server);
	client->go = NULL;
	verb_end_flows(world, client, &request, now);
}

/* If it gets connections again, as somebody else wants: what is left isn't the rest any more. */
static bool is_back(const struct world *world, const struct client *client)
{
	const struct rules *rules = world->crew->workers.rules;
	struct nearest nearest;
	const int s = find_server(rules, client->wait.server, &nearest);

	return s >= 0 && !rules->servers[s].gone && rules->servers[s].state != STATE_DRAIN &&
	       rules->servers[s].state != STATE_DISABLED;
}

static void go(struct world *world, struct client *client, lb_time now)
{
	uint32_t n;

	if (is_back(world, client)) {
		answer_fail(&client->answer, ANSWER_REFUSED, "is_back", NULL,
		            "server %s: gets connections again, as somebody else wants: not waited "
		            "for any more",
		            client->wait.server);
		return;
	}
	if (!count_connections(world, client->wait.server, &n)) {
		if (now.ns >= client->wait.until.ns)
			verb_stall(client, now);
		return;
	}
	client->late.ns = 0;
	if (n != client->wait.last || (!n && client->wait.reset))
		say_left(client, n);
	client->wait.last = n;
	if (!n)
		answer_end(&client->answer);
	else if (now.ns < client->wait.until.ns)
		return;
	else if (client->wait.reset)
		reset_rest(world, client, now);
	else
		answer_fail(&client->answer, ANSWER_NOT_IN_TIME, "not_in_time", NULL,
		            "server %s: %" PRIu32 " connection%s left", client->wait.server, n,
		            n == 1 ? " is" : "s are");
}

/* False with the answer ended. */
static bool take_wait(struct client *client, struct request *request, lb_time now, bool *ret_waits)
{
	const char *wait = request_take(request, "--wait"), *then = request_take(request, "--then");
	uint64_t ms = 0;

	*ret_waits = wait || then;
	client->wait.reset = then;
	client->wait.last = UINT32_MAX;
	if (wait && !verb_quantity(client, QUANTITY_WAIT, wait, &ms))
		return false;
	if (then && strcmp(then, "reset")) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "--then reset, or nothing");
		return false;
	}
	client->wait.until.ns = now.ns + ms * LB_NS_PER_MS;
	return true;
}

/* ---- The verbs ---- */

static void to_state(struct world *world, struct client *client, struct request *request,
                     enum rules_state state, lb_time now)
{
	const char *usage = state == STATE_DRAIN ? "server drain NAME [--wait 15m] [--then reset]"
	                                         : "server disable NAME [--reset]";
	bool waits;
	int s;

	if (!take_wait(client, request, now, &waits) ||
	    (s = take_server(world, client, request, 1, usage)) < 0)
		return;
	strcpy(client->wait.server, world->crew->workers.rules->servers[s].name);
	if (!change(world, client, (unsigned)s, OVERRIDE_STATE, state))
		return;
	if (!waits) {
		answer_end(&client->answer);
		return;
	}
	client->go = go;
	go(world, client, now);
}

void verb_server_drain(struct world *world, struct client *client, struct request *request,
                       lb_time now)
{
	to_state(world, client, request, STATE_DRAIN, now);
}

void verb_server_disable(struct world *world, struct client *client, struct request *request,
                         lb_time now)
{
	const bool reset = request_take_flag(request, "--reset");

	if (reset && request->n < REQUEST_WORDS - 1) {
		request->words[request->n++] = "--then=reset";
		request->words[request->n] = NULL;
	}
	to_state(world, client, request, STATE_DISABLED, now);
}

/* To enable it with: the file's, or active if a server in that one gets no connections. */
static enum rules_state enabled(const struct world *world, const struct rules_server *server)
{
	const struct override *override =
	        overrides_find(world->overrides, server->name, OVERRIDE_STATE);
	const enum rules_state state =
	        override ? (enum rules_state) override->in_file : server->state;

	return state == STATE_DRAIN || state == STATE_DISABLED ? STATE_ACTIVE : state;
}

void verb_server_enable(struct world *world, struct client *client, struct request *request,
                        lb_time now)
{
	const int s = take_server(world, client, request, 1, "server enable NAME");

	(void)now;
	if (s < 0)
		return;
	if (change(world, client, (unsigned)s, OVERRIDE_STATE,
	           enabled(world, &world->crew->workers.rules->servers[s])))
		answer_end(&client->answer);
}

void verb_server_weight(struct world *world, struct client *client, struct request *request,
                        lb_time now)
{
	const bool back = request_take_flag(request, "--reset");
	const int s = take_server(world, client, request, back ? 1 : 2,
	                          "server weight NAME N, or NAME --reset");
	const struct override *before;
	uint64_t weight;

	(void)now;
	if (s < 0)
		return;
	before = overrides_find(world->overrides, request->words[0], OVERRIDE_WEIGHT);
	if (back)
		weight = before ? before->in_file : world->crew->workers.rules->servers[s].weight;
	else if (!verb_quantity(client, QUANTITY_WEIGHT, request->words[1], &weight))
		return;
	if (change(world, client, (unsigned)s, OVERRIDE_WEIGHT, (uint32_t)weight))
		answer_end(&client->answer);
}

/* All servers of a farm at once. */
static void farm_to(struct world *world, struct client *client, struct request *request, bool drain)
{
	const struct rules *rules = world->crew->workers.rules;
	const struct overrides before = *world->overrides;
	struct nearest nearest;
	const int f = request->n == 1 ? find_farm(rules, request->words[0], &nearest) : -1;
	const struct rules_farm *farm;
	bool laid = true;

	if (request->n != 1) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            drain ? "farm drain NAME" : "farm enable NAME");
		return;
	}
	if (f < 0) {
		answer_fail(&client->answer, ANSWER_NO_OBJECT, "no_such_farm",
		            nearest_best(&nearest), "%s: no such farm", request->words[0]);
		return;
	}
	farm = &rules->farms[f];
	for (unsigned s = farm->server; s < farm->server + farm->nservers && laid; s++)
		laid = rules->servers[s].gone ||
		       lay(world, client, &rules->servers[s], OVERRIDE_STATE,
		           drain ? STATE_DRAIN : enabled(world, &rules->servers[s]));
	if (!put_in_force(world, client, &before, laid))
		return;
	answer_record(&client->answer, "{\"farm\":\"%s\",\"text\":\"farm %s: %s\"}",
	              request->words[0], request->words[0],
	              drain ? "its servers get no connections" : "its servers get connections");
	answer_end(&client->answer);
}

void verb_farm_drain(struct world *world, struct client *client, struct request *request,
                     lb_time now)
{
	(void)now;
	farm_to(world, client, request, true);
}

void verb_farm_enable(struct world *world, struct client *client, struct request *request,
                      lb_time now)
{
	(void)now;
	farm_to(world, client, request, false);
}
