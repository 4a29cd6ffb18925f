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
        {"capture", NULL, true, TAKES_ERRANDS, verb_capture},
        {"config", "diff", false, TAKES_NONE, verb_config_diff},
        {"config", "show", false, TAKES_NONE, verb_config_show},
        {"events", NULL, false, TAKES_NONE, verb_events},
        {"farm", "drain", true, TAKES_STOP, verb_farm_drain},
        {"farm", "enable", true, TAKES_STOP, verb_farm_enable},
        {"flow", "reset", true, TAKES_ERRANDS, verb_flow_reset},
        {"flows", NULL, false, TAKES_ERRANDS, verb_flows},
        {"metrics", NULL, false, TAKES_ERRANDS, verb_metrics},
        {"reload", NULL, true, TAKES_STOP, verb_reload},
        {"server", "disable", true, TAKES_STOP, verb_server_disable},
        {"server", "drain", true, TAKES_STOP, verb_server_drain},
        {"server", "enable", true, TAKES_STOP, verb_server_enable},
        {"server", "health", true, TAKES_ERRANDS, verb_server_health},
        {"server", "weight", true, TAKES_STOP, verb_server_weight},
        {"status", NULL, false, TAKES_ERRANDS, verb_status},
        {"version", NULL, false, TAKES_NONE, verb_version},
        {"who", NULL, false, TAKES_ERRANDS, verb_who},
        {"wire", "bypass", true, TAKES_ERRANDS, verb_wire_bypass},
        {"wire", "on", true, TAKES_ERRANDS, verb_wire_on},
};
/* clang-format on */

enum { NVERBS = sizeof(verbs) / sizeof(verbs[0]) };

/* Of a request that the log has, and of a word of it. */
enum { SAID_BYTES = 256, SAID_WORD_BYTES = 70 };

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

/* Ends the answer: there is no such verb, or the first word is a verb's and the second isn't. */
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

/* The words, as many as there is room for; of a long one, as a filter's instructions, only the
 * beginning. What is left out is dots. */
static void join(const struct request *request, char *ret, size_t size)
{
	size_t len = 0;

	for (unsigned i = 0; i < request->n && len < size; i++) {
		const char *text = request->words[i];

		len += (size_t)snprintf(ret + len, size - len, "%s%.*s%s", i ? " " : "",
		                        SAID_WORD_BYTES, text,
		                        strlen(text) > SAID_WORD_BYTES ? "..." : "");
	}
	if (len >= size)
		strcpy(ret + size - sizeof("..."), "...");
}

static void say_who(const struct client *client, const struct request *request)
{
	struct details details = {.n = 0};
	char said[SAID_BYTES];

	join(request, said, sizeof(said));
	details_number(&details, "uid", client->peer.uid);
	log_with(LOG_INFO, &details, "control: uid %u: %s", client->peer.uid, said);
}

static bool do_nothing(struct worker *worker, void *ctx, lb_time now)
{
	(void)worker;
	(void)ctx;
	(void)now;
	return false;
}

/* If the workers can do now what the verb takes. A verb that has them stand still waits until they
 * do, however long that takes: so each must have shown by an errand that it moves. */
static bool can_have(struct crew *crew, enum verb_takes takes)
{
	if (takes == TAKES_STOP)
		return !crew_errand(crew, do_nothing, NULL);
	return takes == TAKES_NONE || !crew_is_stuck(crew);
}

void verbs_ask(struct world *world, struct client *client, char *line, lb_time now)
{
	struct request request;
	const struct verb *verb;

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
	if (verb->changes && !client->late.ns)
		say_who(client, &request);
	if (!can_have(world->crew, verb->takes)) {
		verb_stall(client, now);
		return;
	}
	request.n -= verb->second ? 2 : 1;
	memmove(request.words, request.words + (verb->second ? 2 : 1),
	        (request.n + 1) * sizeof(*request.words));
	verb->begin(world, client, &request, now);
}
