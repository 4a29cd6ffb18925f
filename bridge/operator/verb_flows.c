/*
 * flows, who, flow reset: the connections there are.
 */
#include "verbs.h"

#include "../process/clock.h"
#include "../process/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { FLOW_RECORD_BYTES = 800 };

/* ---- Records ---- */

static const char *endpoint(const struct flow_view *view, unsigned i, char ret[TEXT_ENDPOINT_BYTES])
{
	const struct ip6 *address = &view->addresses[i];

	return text_endpoint(be32_load((const uint8_t *)address + 12),
	                     view->is_ipv6 ? address : NULL, view->ports[i], ret);
}

static const char *const sides[NSIDES] = {"outside", "inside"};

static void print(struct answer *answer, const struct rules *rules, const struct flow_view *view)
{
	char client[TEXT_ENDPOINT_BYTES], vip[TEXT_ENDPOINT_BYTES], snat[TEXT_ENDPOINT_BYTES],
	        to[TEXT_ENDPOINT_BYTES];
	const struct rules_server *server = &rules->servers[view->server];

	answer_record(answer,
	              "{\"client\":\"%s\",\"vip\":\"%s\",\"snat\":\"%s\",\"server\":\"%s\","
	              "\"server_name\":\"%s\",\"farm\":\"%s\",\"state\":\"%s\",\"side\":\"%s\","
	              "\"age_ms\":%" PRIu64 ",\"idle_ms\":%" PRIu64 ",\"client_bytes\":%" PRIu64
	              ",\"client_packets\":%" PRIu64 ",\"server_bytes\":%" PRIu64
	              ",\"server_packets\":%" PRIu64 "}",
	              endpoint(view, VIEW_CLIENT, client), endpoint(view, VIEW_VIP, vip),
	              endpoint(view, VIEW_SNAT, snat), endpoint(view, VIEW_TO, to), server->name,
	              rules->farms[server->farm].name,
	              flow_state_name((enum flow_state)view->state), sides[view->side],
	              view->age_ms, view->idle_ms, view->bytes[CLIENT], view->packets[CLIENT],
	              view->bytes[SERVER], view->packets[SERVER]);
}

/* ---- Going over them ---- */

/* Puts the answer off if a worker doesn't move, else ends it as failed. */
static void interrupt(struct client *client, int err, lb_time now)
{
	if (err == -ESTALE)
		answer_fail(&client->answer, ANSWER_FAILED, "reloaded", NULL,
		            "the rules have changed meanwhile: ask again");
	else
		verbs_stall(client, now);
}

/*
 * What is looked at for all viewers together takes a part of the time, and then pauses for
 * VIEWERS_PAUSE as long: so however many they are, the workers, who are asked between two bursts,
 * have most of it for themselves. Operators don't wait.
 */
enum { VIEWERS_PAUSE = 4 };

static int step(struct world *world, struct client *client, unsigned max)
{
	const lb_time begun = clock_now();
	const int over = scan_step(&client->flows.scan, world->crew, max);
	const lb_time done = clock_now();

	if (!client->is_operator)
		world->viewers.ns = done.ns + VIEWERS_PAUSE * (done.ns - begun.ns);
	return over;
}

static void finish(struct client *client)
{
	if (client->flows.must_be && !client->flows.n)
		answer_fail(&client->answer, ANSWER_NO_OBJECT, "no_such_flow", NULL,
		            "no such flow");
	else
		answer_end(&client->answer);
}

/* Sends the flows that come first, when all have been looked at. Their servers are numbers of the
 * rules in force then: after a reload the answer fails. */
static void say_best(struct world *world, struct client *client, lb_time now)
{
	const struct scan *scan = &client->flows.scan;
	const struct flow_view *view = NULL;

	client->is_busy = true;
	if (scan->generation != world->crew->workers.generation) {
		interrupt(client, -ESTALE, now);
		return;
	}
	while (answer_room(&client->answer) >= FLOW_RECORD_BYTES && (view = best_take(scan->best)))
		print(&client->answer, world->crew->workers.rules, view);
	if (!view && answer_room(&client->answer) >= FLOW_RECORD_BYTES)
		finish(client);
}

/* How many flows the next step may find: as many as the answer has room for; or any number, if they
 * are sorted first. */
static unsigned most(const struct client *client)
{
	const uint64_t left = client->flows.limit - client->flows.n;
	const size_t room = answer_room(&client->answer) / FLOW_RECORD_BYTES;

	if (client->flows.scan.best)
		return SCAN_FOUND_MAX;
	return (unsigned)(left < room ? left : room);
}

static void say_found(struct world *world, struct client *client)
{
	const struct scan *scan = &client->flows.scan;

	for (unsigned i = 0; i < scan->n; i++)
		print(&client->answer, world->crew->workers.rules, &scan->found[i]);
	client->flows.n += scan->n;
}

static void go(struct world *world, struct client *client, lb_time now)
{
	const bool is_sorted = client->flows.scan.best;
	const unsigned max = most(client);
	int over;

	client->has_to_wait = !client->is_operator && clock_now().ns < world->viewers.ns;
	client->is_busy = !client->has_to_wait;
	if (!max || client->has_to_wait)
		return;
	over = step(world, client, max);
	if (over < 0) {
		interrupt(client, over, now);
		return;
	}
	client->late.ns = 0;
	if (!is_sorted)
		say_found(world, client);
	if (over && is_sorted)
		client->go = say_best;
	else if (over || client->flows.n == client->flows.limit)
		finish(client);
}

/* False if the words are no filter, which is answered then. */
static bool begin(struct world *world, struct client *client, const struct request *request)
{
	const struct workers *workers = &world->crew->workers;
	struct scan *scan = &client->flows.scan;
	struct filter_why why;

	client->flows.n = 0;
	client->flows.limit = UINT64_MAX;
	client->flows.must_be = false;
	*scan = (struct scan){.generation = workers->generation};
	if (!filter_parse(request, workers->rules, &scan->filter, &why)) {
		answer_fail(&client->answer, why.no_such_object ? ANSWER_NO_OBJECT : ANSWER_USAGE,
		            why.no_such_object ? "no_such_object" : "bad_filter", why.nearest, "%s",
		            why.text);
		return false;
	}
	client->go = go;
	return true;
}

/* ---- Sorted, and so many ---- */

static void drop_best(struct world *world, struct client *client)
{
	(void)world;
	best_free(client->flows.scan.best);
	client->flows.scan.best = NULL;
}

static bool sort_by(struct client *client, const char *by, unsigned long limit)
{
	struct scan *scan = &client->flows.scan;

	if (!flow_number_named(by, &scan->by) || !limit || limit > BEST_MAX) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "--sort takes a number that flows have, as age_ms, and --limit up to "
		            "%d",
		            BEST_MAX);
		return false;
	}
	scan->best = best_new((unsigned)limit);
	if (scan->best)
		client->stop = drop_best;
	else
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
	return scan->best;
}

/* Takes --sort and --limit, which were taken out of the words before begin() saw these. */
static bool take_order(struct client *client, const char *by, const char *limit)
{
	unsigned long n = 0;
	bool is = !limit || text_number(limit, UINT32_MAX, &n);

	if (!is)
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL, "--limit takes a number");
	else if (by)
		is = sort_by(client, by, n);
	else if (n)
		client->flows.limit = n;
	if (!is)
		client->go = NULL;
	return is;
}

void verb_flows(struct world *world, struct client *client, struct request *request, lb_time now)
{
	const char *by = request_take(request, "--sort"), *limit = request_take(request, "--limit");

	if (begin(world, client, request) && take_order(client, by, limit))
		go(world, client, now);
}

void verb_flow_reset(struct world *world, struct client *client, struct request *request,
                     lb_time now)
{
	if (!request->n) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "flow reset: which ones? (`state any` is all)");
		return;
	}
	if (!begin(world, client, request))
		return;
	client->flows.scan.reset = client->flows.must_be = true;
	go(world, client, now);
}

void verbs_end_flows(struct world *world, struct client *client, const struct request *request,
                     lb_time now)
{
	if (!begin(world, client, request))
		return;
	client->flows.scan.reset = true;
	go(world, client, now);
}

/* ---- who ---- */

/* The connection logs, where those that have ended are: the asker reads them himself. */
static void name_logs(struct client *client, const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const char *path = rules->farms[f].connlog;
		bool again = !path || !strcmp(path, "-");
		char text[512];

		for (unsigned g = 0; g < f && !again; g++)
			again = rules->farms[g].connlog && !strcmp(rules->farms[g].connlog, path);
		if (!again)
			answer_record(&client->answer, "{\"connlog\":\"%s\"}",
			              text_json(path, text, sizeof(text)));
	}
}

/* Whose address and port that is, of whichever of the four. */
void verb_who(struct world *world, struct client *client, struct request *request, lb_time now)
{
	const char *server = request_take(request, "--server");

	if (request->n != 1) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "who ADDRESS:PORT [--server NAME]");
		return;
	}
	if (server) {
		request->words[1] = "and";
		request->words[2] = "server";
		request->words[3] = (char *)(uintptr_t)server;
		request->words[4] = NULL;
		request->n = 4;
	}
	if (!begin(world, client, request))
		return;
	client->flows.scan.filter.resting = true;
	name_logs(client, world->crew->workers.rules);
	go(world, client, now);
}
