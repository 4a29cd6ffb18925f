/*
 * Ways to end an answer, or to put it off, that several verbs have.
 */
#include "verb.h"

void verb_stall(struct client *client, lb_time now)
{
	if (!client->late.ns)
		client->late.ns = now.ns + VERB_LATE_MS * LB_NS_PER_MS;
	client->is_stalled = now.ns < client->late.ns;
	client->is_busy = false;
	if (!client->is_stalled)
		verb_give_up(client);
}

void verb_give_up(struct client *client)
{
	answer_fail(&client->answer, ANSWER_NOT_IN_TIME, "no_answer", NULL,
	            "a worker doesn't move");
}

bool verb_too_much(struct client *client, const struct request *request)
{
	if (!request->n)
		return false;
	answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL, "%s: unexpected",
	            request->words[0]);
	return true;
}

bool verb_quantity(struct client *client, enum quantity quantity, const char *text, uint64_t *ret)
{
	char why[QUANTITY_WHY_BYTES];

	if (quantity_parse(quantity, text, ret, why))
		return true;
	answer_fail(&client->answer, ANSWER_USAGE, "usage", NULL, "%s", why);
	return false;
}
