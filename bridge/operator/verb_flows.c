/*
 * flows, who, flow reset: the connections there are.
 */
#include "verb.h"

#include "../process/clock.h"
#include "../process/text.h"

#include <errno.h>
#include <string.h>

enum { FLOW_RECORD_BYTES = 800 };

static_assert(4 * TEXT_ENDPOINT_BYTES + 2 * RULES_NAME_BYTES + 6 * sizeof("18446744073709551615") +
                              250 /* the rest */
                      <= FLOW_RECORD_BYTES,
              "the longest record");

/* ---- Records ---- */

/* By hand, as there may be a million records: each function appends the text before a value and the
 * value, and returns the end. */

static char *put_text(char *at, const char *before, const char *text)
{
	return stpcpy(stpcpy(at, before), text);
}

static char *put_number(char *at, const char *before, uint64_t number)
{
	return text_put_number(stpcpy(at, before), number);
}

static char *put_endpoint(char *at, const char *before, const struct flow_view *view, unsigned i)
{
	const struct ip6 *address = &view->addresses[i];

	at = stpcpy(at, before);
	text_endpoint(be32_load((const uint8_t *)address + 12), view->is_ipv6 ? address : NULL,
	              view->ports[i], at);
	return at + strlen(at);
}

static const char *const sides[NSIDES] = {"outside", "inside"};

static void print(struct answer *answer, const struct rules *rules, const struct flow_view *view)
{
	const struct rules_server *server = &rules->servers[view->server];
	char text[FLOW_RECORD_BYTES], *at = text;

	at = put_endpoint(at, "{\"client\":\"", view, VIEW_CLIENT);
	at = put_endpoint(at, "\",\"vip\":\"", view, VIEW_VIP);
	at = put_endpoint(at, "\",\"snat\":\"", view, VIEW_SNAT);
	at = put_endpoint(at, "\",\"server\":\"", view, VIEW_TO);
	at = put_text(at, "\",\"server_name\":\"", server->name);
	at = put_text(at, "\",\"farm\":\"", rules->farms[server->farm].name);
	at = put_text(at, "\",\"state\":\"", flow_state_name((enum flow_state)view->state));
	at = put_text(at, "\",\"side\":\"", sides[view->side]);
	at = put_number(at, "\",\"age_ms\":", view->age_ms);
	at = put_number(at, ",\"idle_ms\":", view->idle_ms);
	at = put_number(at, ",\"client_bytes\":", view->bytes[CLIENT]);
	at = put_number(at, ",\"client_packets\":", view->packets[CLIENT]);
	at = put_number(at, ",\"server_bytes\":", view->bytes[SERVER]);
	at = put_number(at, ",\"server_packets\":", view->packets[SERVER]);
	strcpy(at, "}");
	answer_record(answer, "%s", text);
}

/* ---- Going over them ---- */

/* Puts the answer off if a worker doesn't move, else ends it as failed. */
static void interrupt(struct client *client, int err, lb_time now)
{
	if (err == -ESTALE)
		answer_fail(&client->answer, ANSWER_FAILED, "reloaded", NULL,
		            "the rules have changed meanwhile: ask again");
	else if (err == -EBUSY)
		verb_give_up(client);
	else
		verb_stall(client, now);
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
	const int over = scan_step(client->flows.scan, world->crew, max);
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
	const struct scan *scan = client->flows.scan;
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

/* Says of what the last step has found as much as there is room for; true if that is all. */
static bool say_found(struct world *world, struct client *client)
{
	struct scan *scan = client->flows.scan;

	while (!scan->best && scan->said < scan->n &&
	       answer_room(&client->answer) >= FLOW_RECORD_BYTES)
		print(&client->answer, world->crew->workers.rules, &scan->found[scan->said++]);
	return scan->best || scan->said == scan->n;
}

static void look_further(struct world *world, struct client *client, lb_time now)
{
	const struct scan *scan = client->flows.scan;
	const uint64_t left = client->flows.limit - client->flows.n;
	const int over =
	        step(world, client, left < SCAN_FOUND_MAX ? (unsigned)left : SCAN_FOUND_MAX);

	if (over < 0) {
		interrupt(client, over, now);
		return;
	}
	client->late.ns = 0;
	client->flows.n += scan->n;
	client->flows.is_last = over || client->flows.n == client->flows.limit;
	if (over && scan->best)
		client->go = say_best;
}

static void go(struct world *world, struct client *client, lb_time now)
{
	const struct scan *scan = client->flows.scan;

	client->has_to_wait = !client->is_operator && clock_now().ns < world->viewers.ns;
	client->is_busy = !client->has_to_wait;
	if (client->has_to_wait)
		return;
	if (scan->generation != world->crew->workers.generation)
		interrupt(client, -ESTALE, now);
	else if (say_found(world, client) && !client->flows.is_last)
		look_further(world, client, now);
	if (!client->answer.ended && client->go == go && say_found(world, client) &&
	    client->flows.is_last)
		finish(client);
}

static void drop(struct world *world, struct client *client)
{
	scan_free(client->flows.scan, world->crew);
	client->flows.scan = NULL;
}

/* NULL if memory runs out, which is answered then. */
static struct scan *new_scan(struct world *world, struct client *client)
{
	struct scan *scan = scan_new(world->crew);

	client->flows.n = 0;
	client->flows.limit = UINT64_MAX;
	client->flows.must_be = client->flows.is_last = false;
	client->flows.scan = scan;
	if (scan)
		client->stop = drop;
	else
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
	return scan;
}

/* Has the answer begin, or end, if what was asked for is no filter. Returns is. */
static bool begin_if(struct client *client, bool is, const struct filter_why *why)
{
	if (is)
		client->go = go;
	else
		answer_fail(&client->answer, why->no_such_object ? ANSWER_NO_OBJECT : ANSWER_USAGE,
		            why->no_such_object ? "no_such_object" : "bad_filter", why->nearest,
		            "%s", why->text);
	return is;
}

/* False if the words are no filter, or memory runs out, which is answered then. */
static bool begin(struct world *world, struct client *client, const struct request *request)
{
	const struct rules *rules = world->crew->workers.rules;
	struct scan *scan = new_scan(world, client);
	struct filter_why why;
	bool is;

	if (!scan)
		return false;
	is = filter_parse(request, rules, &scan->filter, &why);
	return begin_if(client, is, &why);
}

/* ---- Sorted, and so many ---- */

static bool sort_by(struct client *client, const char *by, uint64_t limit)
{
	struct scan *scan = client->flows.scan;

	if (!flow_number_named(by, &scan->by)) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "--sort %.40s: flows have no such number: age_ms, for one", by);
		return false;
	}
	if (!limit)
		return true;
	scan->best = best_new((unsigned)limit);
	if (!scan->best)
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
	return scan->best;
}

/* Takes --sort and --limit, which were taken out of the words before begin() saw these. */
static bool take_order(struct client *client, const char *by, const char *limit)
{
	uint64_t n = 0;
	bool is = !limit || verb_quantity(client, by ? QUANTITY_SORTED : QUANTITY_LIMIT, limit, &n);

	if (is && by && !limit) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "--sort takes a --limit of up to %d", BEST_MAX);
		is = false;
	}
	if (is && by)
		is = sort_by(client, by, n);
	else if (is && limit)
		client->flows.limit = n;
	client->flows.is_last = limit && !n; /* none is meant */
	if (!is)
		client->go = NULL;
	return is;
}

void verb_flows(struct world *world, struct client *client, struct request *request, lb_time now)
{
	const char *by = request_take(request, "--sort"), *limit = request_take(request, "--limit");

	client->goes_over = true;
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
	client->flows.scan->reset = client->flows.must_be = true;
	go(world, client, now);
}

void verb_end_flows(struct world *world, struct client *client, const struct request *request,
                    lb_time now)
{
	if (!begin(world, client, request))
		return;
	client->flows.scan->reset = true;
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
	const struct rules *rules = world->crew->workers.rules;
	const char *server = request_take(request, "--server");
	struct filter_why why;
	struct scan *scan;
	bool is;

	if (request->n != 1) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "who ADDRESS:PORT|ADDRESS|ADDRESS/BITS|:PORT [--server NAME]");
		return;
	}
	scan = new_scan(world, client);
	if (!scan)
		return;
	is = filter_who(request->words[0], server, rules, &scan->filter, &why);
	if (!begin_if(client, is, &why))
		return;
	client->goes_over = true;
	name_logs(client, rules);
	go(world, client, now);
}
