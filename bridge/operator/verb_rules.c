/*
 * reload, config show, config diff: the rules in force.
 */
#include "verb.h"

#include "../process/recent.h"
#include "../process/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* Repeats to the client what was logged since then, except for the first error, which is set in
 * why: if the reload failed it is the reason. */
static void repeat(struct client *client, uint64_t since, char why[RECENT_BYTES])
{
	struct recent recent;
	char text[2 * RECENT_BYTES];

	*why = 0;
	for (uint64_t i = since + 1; i <= recent_last(); i++) {
		if (!recent_get(i, &recent))
			continue;
		if (recent.level <= LOG_ERR && !*why) {
			strcpy(why, recent.text);
			continue;
		}
		answer_record(&client->answer, "{\"level\":\"%s\",\"text\":\"%s\"}",
		              recent.level <= LOG_ERR       ? "error"
		              : recent.level == LOG_WARNING ? "warning"
		                                            : "info",
		              text_json(recent.text, text, sizeof(text)));
	}
}

void verb_reload(struct world *world, struct client *client, struct request *request, lb_time now)
{
	const uint64_t since = recent_last();
	char why[RECENT_BYTES];
	int err;

	(void)now;
	if (verb_too_much(client, request))
		return;
	err = world->reload(world->ctx, true);
	repeat(client, since, why);
	if (!err)
		answer_end(&client->answer);
	else
		answer_fail(&client->answer,
		            err == -EINVAL      ? ANSWER_USAGE
		            : err == -ETIMEDOUT ? ANSWER_NOT_IN_TIME
		                                : ANSWER_FAILED,
		            err == -EINVAL ? "bad_configuration" : "not_reloaded", NULL, "%s",
		            *why ? why : strerror(-err));
}

/* What was printed to file, a memory stream of text, is the answer. */
static void say_all(struct client *client, FILE *file, char *const *text)
{
	if (!file || fclose(file) != 0) {
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
		return;
	}
	answer_hold(&client->answer, *text);
	answer_end(&client->answer);
}

/* What a check sends may be a password, which whoever only looks need not know. */
static void hide(char *line, size_t size)
{
	const char *key = line + strspn(line, " \t");
	const char *rest = key + strlen("send");

	if (!strncasecmp(key, "send", strlen("send")) && rest[strspn(rest, " \t")] == '=')
		snprintf(line, size, "send = (operators see it)");
}

/* The text in force, line by line. */
void verb_config_show(struct world *world, struct client *client, struct request *request,
                      lb_time now)
{
	size_t len, room = 0;
	char *out = NULL;
	FILE *file;

	(void)now;
	if (verb_too_much(client, request))
		return;
	file = open_memstream(&out, &room);
	for (const char *at = world->text->bytes, *end = at + world->text->len; file && at < end;
	     at += len + 1) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));
		char line[1024], escaped[6 * 1024];

		len = feed ? (size_t)(feed - at) : (size_t)(end - at);
		snprintf(line, sizeof(line), "%.*s",
		         (int)(len < sizeof(line) ? len : sizeof(line) - 1), at);
		if (!client->is_operator)
			hide(line, sizeof(line));
		fprintf(file, "{\"text\":\"%s\"}\n", text_json(line, escaped, sizeof(escaped)));
	}
	say_all(client, file, &out);
}

static void print_override(FILE *out, const struct override *o)
{
	char is[OVERRIDE_VALUE_BYTES], file[OVERRIDE_VALUE_BYTES], when[TEXT_TIME_BYTES];

	fprintf(out,
	        "{\"server\":\"%s\",\"key\":\"%s\",\"value\":\"%s\",\"file\":\"%s\","
	        "\"uid\":%" PRIu32 ",\"at\":\"%s\"}\n",
	        o->server, override_key_name(o->key), override_value(o->key, o->value, is),
	        override_value(o->key, o->in_file, file), o->uid,
	        text_time((lb_time){(uint64_t)o->when_ms * LB_NS_PER_MS}, 0, when));
}

/* What lies over the file. */
void verb_config_diff(struct world *world, struct client *client, struct request *request,
                      lb_time now)
{
	size_t room = 0;
	char *out = NULL;
	FILE *file;

	(void)now;
	if (verb_too_much(client, request))
		return;
	file = open_memstream(&out, &room);
	for (unsigned i = 0; file && i < world->overrides->n; i++)
		print_override(file, &world->overrides->all[i]);
	say_all(client, file, &out);
}
