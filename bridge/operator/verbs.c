/*
 * The list of verbs, and who may say which.
 */
#include "verbs.h"

#include "../process/log.h"
#include "../../cfg/nearest.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct verb verbs[] = {
        {"capture", NULL, true, verb_capture},
        {"config", "diff", false, verb_config_diff},
        {"config", "show", false, verb_config_show},
        {"events", NULL, false, verb_events},
        {"farm", "drain", true, verb_farm_drain},
        {"farm", "enable", true, verb_farm_enable},
        {"flow", "reset", true, verb_flow_reset},
        {"flows", NULL, false, verb_flows},
        {"metrics", NULL, false, verb_metrics},
        {"reload", NULL, true, verb_reload},
        {"server", "disable", true, verb_server_disable},
        {"server", "drain", true, verb_server_drain},
        {"server", "enable", true, verb_server_enable},
        {"server", "health", true, verb_server_health},
        {"server", "weight", true, verb_server_weight},
        {"status", NULL, false, verb_status},
        {"version", NULL, false, verb_version},
        {"who", NULL, false, verb_who},
        {"wire", "bypass", true, verb_wire_bypass},
        {"wire", "on", true, verb_wire_on},
};
/* clang-format on */

enum { NVERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const char *word(const struct request *request, unsigned i)
{
	return i < request->n ? request->words[i] : "";
}

static const struct verb *find(const struct request *request)
{
	for (unsigned i = 0; i < NVERBS; i++)
		if (!strcmp(word(request, 0), verbs[i].name) &&
		    (!verbs[i].second || !strcmp(word(request, 1), verbs[i].second)))
			return &verbs[i];
	return NULL;
}

/* The first word is one, but the second isn't; or not even that. */
static void refuse_unknown(struct client *client, const struct request *request)
{
	struct nearest first = {.word = word(request, 0)}, second = {.word = word(request, 1)};
	bool is_first = false;

	for (unsigned i = 0; i < NVERBS; i++) {
		nearest_offer(&first, verbs[i].name);
		if (strcmp(first.word, verbs[i].name))
			continue;
		is_first = true;
		if (verbs[i].second)
			nearest_offer(&second, verbs[i].second);
	}
	if (is_first)
		answer_fail(&client->answer, ANSWER_USAGE, "no_such_verb", nearest_best(&second),
		            "%s: %s: no such verb", first.word, *second.word ? second.word : "?");
	else
		answer_fail(&client->answer, ANSWER_USAGE, "no_such_verb", nearest_best(&first),
		            "%s: no such verb", first.word);
}

static void say_who(const struct client *client, const char *line)
{
	struct details details = {.n = 0};

	details_number(&details, "uid", client->peer.uid);
	log_with(LOG_INFO, &details, "control: uid %u: %s", client->peer.uid, line);
}

void verbs_ask(struct world *world, struct client *client, char *line, lb_time now)
{
	char said[256];
	struct request request;
	const struct verb *verb;

	snprintf(said, sizeof(said), "%s", line);
	if (!request_split(line, &request) || !request.n) {
		answer_fail(&client->answer, ANSWER_USAGE, "bad_request", NULL,
		            "a request is one line of up to %d words in plain ASCII",
		            REQUEST_WORDS);
		return;
	}
	verb = find(&request);
	if (!verb) {
		refuse_unknown(client, &request);
		return;
	}
	if (verb->changes && !client->is_operator) {
		answer_fail(&client->answer, ANSWER_NOT_THERE, "not_permitted", NULL,
		            "%s: only by the control socket", verb->name);
		return;
	}
	if (verb->changes)
		say_who(client, said);
	request.n -= verb->second ? 2 : 1;
	memmove(request.words, request.words + (verb->second ? 2 : 1),
	        (request.n + 1) * sizeof(*request.words));
	verb->begin(world, client, &request, now);
}

bool verbs_too_much(struct client *client, const struct request *request)
{
	if (!request->n)
		return false;
	answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL, "%s: unexpected",
	            request->words[0]);
	return true;
}
