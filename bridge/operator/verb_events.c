/*
 * events: what the log was told last, and with -f what it is told from now on.
 */
#include "verb.h"

#include "../process/recent.h"
#include "../process/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

enum { EVENT_BYTES = 5 * RECENT_BYTES + RECENT_DETAILS_BYTES + 256 }; /* of a record, at most */

static const char *level_name(int level)
{
	return level <= LOG_ERR ? "error" : level == LOG_WARNING ? "warning" : "info";
}

/* A member of its own for whom it is about, if that is a server or a farm: names need no escaping
 * there. */
static const char *thing(const char *about, char ret[RECENT_BYTES])
{
	static const char *const kinds[] = {"server ", "farm "};

	*ret = 0;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const size_t len = strlen(kinds[i]);

		if (!strncmp(about, kinds[i], len) && !strpbrk(about + len, " ,\"\\"))
			snprintf(ret, RECENT_BYTES, ",\"%.*s\":\"%.*s\"", (int)len - 1, kinds[i],
			         RULES_NAME_BYTES, about + len);
	}
	return ret;
}

/* Most lines are "WHOM: WHAT". */
static void print(struct answer *answer, const struct recent *recent)
{
	const char *colon = strstr(recent->text, ": ");
	size_t len = colon ? (size_t)(colon - recent->text) : 0;
	char about[RECENT_BYTES], escaped_about[2 * RECENT_BYTES], what[2 * RECENT_BYTES];
	char time[TEXT_TIME_BYTES], of[RECENT_BYTES];

	memcpy(about, recent->text, len);
	about[len] = 0;
	answer_record(
	        answer,
	        "{\"event\":%" PRIu64 ",\"time\":\"%s\",\"level\":\"%s\",\"about\":\"%s\"%s%s,"
	        "\"text\":\"%s\"}",
	        recent->number,
	        text_time((lb_time){(uint64_t)recent->time_ms * LB_NS_PER_MS}, 0, time),
	        level_name(recent->level), text_json(about, escaped_about, sizeof(escaped_about)),
	        thing(about, of), recent->details,
	        text_json(colon ? colon + 2 : recent->text, what, sizeof(what)));
}

/* What has been pushed out meanwhile is lost to this reader. */
static void go(struct world *world, struct client *client, lb_time now)
{
	struct answer *answer = &client->answer;
	struct recent recent;

	(void)world, (void)now;
	while (client->events.next <= recent_last() && answer_room(answer) > EVENT_BYTES) {
		if (recent_get(client->events.next, &recent))
			print(answer, &recent);
		else if (client->events.next + RECENT_PLACES <= recent_last())
			answer->lost++;
		else
			return; /* it is being written */
		client->events.next++;
	}
	if (!client->events.follow && client->events.next > recent_last())
		answer_end(answer);
}

void verb_events(struct world *world, struct client *client, struct request *request, lb_time now)
{
	const char *limit = request_take(request, "--limit");
	const uint64_t last = recent_last();
	uint64_t n = RECENT_LINES;

	client->events.follow = request_take_flag(request, "-f");
	if (limit && !verb_quantity(client, QUANTITY_LIMIT, limit, &n))
		return;
	if (verb_too_much(client, request))
		return;
	if (n > RECENT_LINES)
		n = RECENT_LINES;
	client->events.next = last > n ? last - n + 1 : 1;
	client->go = go;
	go(world, client, now);
}
