/*
 * A request becomes a line of words for the socket: the words of a fixed verb, and arguments that
 * are made of printable ASCII. What comes back is handed on as it is: lines of JSON, of which the
 * last says how it ended, as the HTTP status does.
 */
#include "api.h"

#include "query.h"
#include "../process/clock.h"
#include "../process/futex.h"
#include "../process/quantity.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
	API_LINE_BYTES = 4096,
	API_LIMIT = 200,
	API_VIEWERS = 3, /* at a time; the status socket has 12 places, for all who look */
	API_OPERATORS = 2,
	API_PATIENCE_S = 5, /* until it is one's turn */
};

enum { OK = 200, BAD = 400, NOT_FOUND = 404, CONFLICT = 409, FAILED = 500, AWAY = 503, LATE = 504 };

/* Who cuts an answer to its limit: nobody, this process, or the one that is asked. */
enum limited { UNLIMITED, BY_US, BY_THEM };

/* A verb that asks: its argument, or NULL; and whether that may be left out. */
static const struct asking {
	const char *path, *verb, *argument;
	bool may_lack;
	enum limited limited;
} askings[] = {
        {"/api/status", "status", NULL, true, UNLIMITED},
        {"/api/version", "version", NULL, true, UNLIMITED},
        {"/api/events", "events", NULL, true, BY_THEM},
        {"/api/flows", "flows", "q", true, BY_US},
        {"/api/who", "who", "q", false, BY_US},
        {"/api/config", "config show", NULL, true, UNLIMITED},
        {"/api/diff", "config diff", NULL, true, UNLIMITED},
};

/* Verbs that may be said by api_do(), by how they begin. */
static const char *const doings[] = {
        "server drain ",  "server enable ", "server disable ", "server weight ",
        "server health ", "farm drain ",    "farm enable ",    "flow reset ",
        "wire bypass",    "wire on",        "reload",
};

void api_open(struct api *api, const struct options *options, struct feed *feed)
{
	*api = (struct api){.options = options, .feed = feed};
	atomic_init(&api->viewers, API_VIEWERS);
	atomic_init(&api->operators, API_OPERATORS);
}

static void take(struct reply *ret, unsigned status, const char *type, char *text, size_t len)
{
	*ret = (struct reply){.status = text ? status : FAILED, .type = type, .text = text};
	ret->len = text ? len : 0;
}

void api_refuse(unsigned status, const char *why, struct reply *ret)
{
	json_t *reply = json_pack("{s:{s:s}}", "error", "message", why);
	char *text = json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	take(ret, status, "application/json", text, text ? strlen(text) : 0);
}

void api_needs(const struct options *options, struct reply *ret)
{
	json_t *reply = json_pack("{s:b,s:b}", "token", *options->token != '\0', "admin",
	                          (int)options->admin);
	char *text = json_dumps(reply, JSON_COMPACT);

	json_decref(reply);
	take(ret, OK, "application/json", text, text ? strlen(text) : 0);
}

/* The HTTP status for the exit status of a request. */
static unsigned status_of(int exit)
{
	static const unsigned statuses[] = {OK, FAILED, BAD, AWAY, NOT_FOUND, LATE, CONFLICT};

	return exit >= 0 && exit < (int)(sizeof(statuses) / sizeof(statuses[0])) ? statuses[exit]
	                                                                         : FAILED;
}

static void ask(const struct question *question, struct reply *ret)
{
	struct answer answer;

	query(question, &answer);
	if (!answer.why) {
		take(ret, status_of(answer.exit), "application/x-ndjson", answer.text, answer.len);
		return;
	}
	free(answer.text);
	api_refuse(status_of(answer.exit), answer.why, ret);
}

/* Takes one of so many turns, if there is one. */
static bool take_turn(atomic_uint *turns)
{
	unsigned left = atomic_load(turns);

	while (left && !atomic_compare_exchange_weak(turns, &left, left - 1))
		;
	return left > 0;
}

static void end_turn(atomic_uint *turns)
{
	atomic_fetch_add(turns, 1);
	futex_wake(turns);
}

/* Waits until it is one's turn; false, with ret, if that doesn't come. */
static bool queue_up(atomic_uint *turns, struct reply *ret)
{
	const struct timespec until = clock_in(API_PATIENCE_S * LB_NS_PER_S);
	bool taken;

	while (!(taken = take_turn(turns)) && futex_wait(turns, 0, &until))
		;
	if (!taken)
		api_refuse(AWAY, "too many ask at once", ret);
	return taken;
}

/* Words of printable ASCII only, as the socket takes them. */
static bool is_plain(const char *words)
{
	for (; *words; words++)
		if (*words < ' ' || *words > '~')
			return false;
	return true;
}

/* As the address says, or the default. False, with ret, if that is no number of up to 1000. */
static bool take_limit(api_argument *argument, void *ctx, uint64_t *limit, struct reply *ret)
{
	const char *text = argument(ctx, "limit");
	char why[QUANTITY_WHY_BYTES];

	*limit = API_LIMIT;
	if (!text || quantity_parse(QUANTITY_SHOWN, text, limit, why))
		return true;
	api_refuse(BAD, why, ret);
	return false;
}

static void ask_verb(const struct api *api, const struct asking *asking, api_argument *argument,
                     void *ctx, struct reply *ret)
{
	const char *words = asking->argument ? argument(ctx, asking->argument) : NULL;
	char line[API_LINE_BYTES], limited[32] = "";
	uint64_t limit;
	int n;

	if (!asking->may_lack && !words) {
		api_refuse(BAD, "q is missing", ret);
		return;
	}
	if (!take_limit(argument, ctx, &limit, ret))
		return;
	if (asking->limited == BY_THEM)
		snprintf(limited, sizeof(limited), " --limit %u", (unsigned)limit);
	n = snprintf(line, sizeof(line), "%s%s%s%s", asking->verb, words ? " " : "",
	             words ? words : "", limited);
	if (n >= (int)sizeof(line) || !is_plain(line))
		api_refuse(BAD, "too long, or not plain ASCII", ret);
	else
		ask(&(struct question){.instance = api->options->instance,
		                       .line = line,
		                       .limit = asking->limited == BY_US ? (unsigned)limit
		                                                         : QUERY_ALL},
		    ret);
}

/* ---- Metrics ---- */

/* What the records of metrics say, a line each. */
static char *lines_of(char *records)
{
	char *rest = NULL, *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (char *at = strtok_r(records, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest)) {
		json_t *record = json_loads(at, 0, NULL);
		const char *line = json_string_value(json_object_get(record, "line"));

		if (line)
			fprintf(out, "%s\n", line);
		json_decref(record);
	}
	fclose(out);
	return text;
}

static void get_metrics(const struct api *api, struct reply *ret)
{
	struct reply records;
	char *text;

	ask(&(struct question){.instance = api->options->instance,
	                       .line = "metrics",
	                       .limit = QUERY_ALL},
	    &records);
	if (records.status != OK) {
		*ret = records;
		return;
	}
	text = lines_of(records.text);
	free(records.text);
	take(ret, OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text,
	     text ? strlen(text) : 0);
}

/* ---- All of it ---- */

static void get_history(const struct api *api, api_argument *argument, void *ctx, struct reply *ret)
{
	const char *range = argument(ctx, "range"), *names = argument(ctx, "names");
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		api_refuse(FAILED, "out of memory", ret);
		return;
	}
	feed_print_history(api->feed, out,
	                   range && !strcmp(range, "week") ? HISTORY_BY_MINUTE : HISTORY_BY_SECOND,
	                   names ? names : "");
	fclose(out);
	take(ret, OK, "application/json", text, len);
}

static const struct asking *asking_of(const char *path)
{
	for (unsigned i = 0; i < sizeof(askings) / sizeof(askings[0]); i++)
		if (!strcmp(path, askings[i].path))
			return &askings[i];
	return NULL;
}

void api_get(struct api *api, const char *path, api_argument *argument, void *ctx,
             struct reply *ret)
{
	const bool is_metrics = !strcmp(path, "/metrics");
	const struct asking *asking = asking_of(path);

	if (!is_metrics && !asking && strcmp(path, "/api/history")) {
		api_refuse(NOT_FOUND, "no such path", ret);
		return;
	}
	if (!queue_up(&api->viewers, ret))
		return;
	if (asking)
		ask_verb(api, asking, argument, ctx, ret);
	else if (is_metrics)
		get_metrics(api, ret);
	else
		get_history(api, argument, ctx, ret);
	end_turn(&api->viewers);
}

/* The words of "do" as a line; false if they aren't such. */
static bool join(const json_t *words, char line[API_LINE_BYTES])
{
	size_t i, len = 0;
	const json_t *word;

	line[0] = '\0';
	json_array_foreach(words, i, word)
	{
		const char *text = json_string_value(word);

		if (!text || !*text || strpbrk(text, " \t") ||
		    len + strlen(text) + 2 > API_LINE_BYTES)
			return false;
		len += (size_t)sprintf(line + len, "%s%s", i ? " " : "", text);
	}
	return len && is_plain(line);
}

static bool is_doing(const char *line)
{
	for (unsigned i = 0; i < sizeof(doings) / sizeof(doings[0]); i++) {
		const size_t len = strlen(doings[i]);

		if (doings[i][len - 1] == ' ' ? !strncmp(line, doings[i], len)
		                              : !strcmp(line, doings[i]))
			return true;
	}
	return false;
}

static void act(struct api *api, const char *line, struct reply *ret)
{
	if (!queue_up(&api->operators, ret))
		return;
	ask(&(struct question){.instance = api->options->instance,
	                       .control = true,
	                       .line = line,
	                       .limit = QUERY_ALL},
	    ret);
	end_turn(&api->operators);
}

void api_do(struct api *api, const char *body, size_t len, struct reply *ret)
{
	char line[API_LINE_BYTES];
	json_t *request = json_loadb(body, len, 0, NULL);
	bool good = json_is_object(request) && join(json_object_get(request, "do"), line);

	json_decref(request);
	if (!good)
		api_refuse(BAD, "{\"do\":[\"server\",\"drain\",\"NAME\"]}, or the like", ret);
	else if (!is_doing(line))
		api_refuse(BAD, "that changes nothing, or is not to be done from here", ret);
	else
		act(api, line, ret);
}
