/*
 * wire bypass, wire on; server health: what is done with the wire and the servers meanwhile.
 */
#include "verb.h"

#include "../process/log.h"
#include "../process/quantity.h"
#include "../process/text.h"
#include "../../cfg/nearest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- wire ---- */

/* An errand: nothing new is balanced from now on if ctx isn't NULL, else everything. */
static bool bypass(struct worker *worker, void *ctx, lb_time now)
{
	(void)now;
	lb_bypass(worker->lb, ctx);
	return false;
}

static void set_bypass(struct world *world, struct client *client, struct request *request, bool on,
                       lb_time now)
{
	struct details details = {.n = 0};

	if (verb_too_much(client, request))
		return;
	if (on && rules_has_stack(world->crew->workers.rules)) {
		answer_fail(&client->answer, ANSWER_REFUSED, "no_wire", NULL,
		            "mode = %s has no wire to pass by: clients would get no answer at all",
		            rules_mode_words[world->crew->workers.rules->mode]);
		return;
	}
	if (crew_errand(world->crew, bypass, on ? world : NULL)) {
		verb_stall(client, now);
		return;
	}
	details_flag(&details, "bypass", on);
	if (world->bypass != on)
		log_with(LOG_WARNING, &details, "wire: %s",
		         on ? "bypass: no connection is balanced any more, those "
		              "that there are go on"
		            : "on: connections are balanced");
	world->bypass = on;
	answer_record(&client->answer, "{\"bypass\":%s,\"text\":\"wire: %s\"}",
	              on ? "true" : "false", on ? "bypass" : "on");
	answer_end(&client->answer);
}

void verb_wire_bypass(struct world *world, struct client *client, struct request *request,
                      lb_time now)
{
	set_bypass(world, client, request, true, now);
}

void verb_wire_on(struct world *world, struct client *client, struct request *request, lb_time now)
{
	set_bypass(world, client, request, false, now);
}

/* ---- server health ---- */

enum { HEALTH_DEFAULT_MS = 60 * 1000 };

/* The words behind --why, up to the end or the next option, which are taken out. */
static void take_why(struct request *request, char ret[VERDICT_WHY_BYTES])
{
	unsigned i = 0, end, n;
	size_t len = 0;

	snprintf(ret, VERDICT_WHY_BYTES, "no reason was given");
	while (i < request->n && strcmp(request->words[i], "--why"))
		i++;
	for (end = i + 1; end < request->n && strncmp(request->words[end], "--", 2); end++)
		if (len < VERDICT_WHY_BYTES)
			len += (size_t)snprintf(ret + len, VERDICT_WHY_BYTES - len, "%s%s",
			                        len ? " " : "", request->words[end]);
	if (i >= request->n)
		return;
	n = end - i;
	memmove(request->words + i, request->words + end,
	        (request->n - end + 1) * sizeof(*request->words));
	request->n -= n;
}

static const char *nearest_server(const struct rules *rules, const char *name)
{
	struct nearest nearest = {.word = name};

	for (unsigned s = 0; s < rules->nservers; s++)
		nearest_offer(&nearest, rules->servers[s].name);
	return nearest_best(&nearest);
}

/* server health NAME up|down [--why TEXT] [--for TIME] */
void verb_server_health(struct world *world, struct client *client, struct request *request,
                        lb_time now)
{
	const char *time = request_take(request, "--for");
	char why[VERDICT_WHY_BYTES], text[2 * VERDICT_WHY_BYTES];
	uint64_t ms = HEALTH_DEFAULT_MS;
	bool up;
	int err;

	take_why(request, why);
	up = request->n == 2 && !strcmp(request->words[1], "up");
	if (time && !verb_quantity(client, QUANTITY_FOR, time, &ms))
		return;
	if (request->n != 2 || (!up && strcmp(request->words[1], "down"))) {
		answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL,
		            "server health NAME up|down [--why TEXT] [--for 30s]");
		return;
	}
	err = verdicts_give(&world->verdicts, world->crew, request->words[0],
	                    up ? HEALTH_UP : HEALTH_DOWN, why,
	                    (lb_time){now.ns + ms * LB_NS_PER_MS});
	if (err == -ENOENT) {
		answer_fail(&client->answer, ANSWER_NO_OBJECT, "no_such_server",
		            nearest_server(world->crew->workers.rules, request->words[0]),
		            "%s: no such server", request->words[0]);
		return;
	}
	if (err == -ETIMEDOUT) {
		verb_stall(client, now);
		return;
	}
	if (err) {
		answer_fail(&client->answer, ANSWER_REFUSED, "too_many", NULL,
		            "more than %d verdicts at a time", VERDICTS_MAX);
		return;
	}
	answer_record(&client->answer,
	              "{\"server_name\":\"%s\",\"health\":\"%s\",\"for_ms\":%" PRIu64
	              ",\"text\":\"server %s: %s for %.10g s: %s\"}",
	              request->words[0], request->words[1], ms, request->words[0],
	              request->words[1], (double)ms / 1000, text_json(why, text, sizeof(text)));
	answer_end(&client->answer);
}
