/*
 * status, version: how things are.
 */
#include "verb.h"

#include "stats.h"
#include "../process/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* All of it is one record, and so one line. */
static void join_lines(char *text)
{
	for (char *at = strchr(text, '\n'); at && at[1]; at = strchr(at, '\n'))
		*at = ' ';
}

bool verb_snapshot(struct world *world, struct client *client, lb_time now, struct snapshot *ret)
{
	int err = snapshot_take(ret, world->crew, world->started);

	if (err == -ETIMEDOUT)
		verb_stall(client, now);
	else if (err)
		answer_fail(&client->answer, ANSWER_FAILED, "no_figures", NULL, "the figures: %s",
		            strerror(-err));
	return !err;
}

void verb_status(struct world *world, struct client *client, struct request *request, lb_time now)
{
	struct snapshot snapshot;
	char *text;

	if (verb_too_much(client, request) || !verb_snapshot(world, client, now, &snapshot))
		return;
	snapshot_look_at_snat(&snapshot, &world->crew->workers);
	snapshot.overrides = world->overrides;
	snapshot.bypass = world->bypass;
	if (rates_are_known(&world->rates, world->crew))
		snapshot.rates = &world->rates;
	text = stats_text(&snapshot);
	snapshot_free(&snapshot);
	if (!text) {
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
		return;
	}
	join_lines(text);
	answer_hold(&client->answer, text);
	answer_end(&client->answer);
}

void verb_version(struct world *world, struct client *client, struct request *request, lb_time now)
{
	char config[1024];

	(void)now;
	if (verb_too_much(client, request))
		return;
	answer_record(&client->answer,
	              "{\"version\":\"" TMBRIDGE_VERSION "\",\"pid\":%d,\"config\":\"%s\"}",
	              (int)getpid(), text_json(world->config, config, sizeof(config)));
	answer_end(&client->answer);
}
