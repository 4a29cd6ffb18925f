/*
 * The keys of [farm NAME] that limit clients.
 *
 * allow and deny are one table in the end, of which each sets its part: whichever comes second
 * makes it of both.
 */
#include "limit_keys.h"

#include "prefixes.h"

#include <errno.h>
#include <stdlib.h>

enum {
	BLOCK_FOR_MIN_MS = 1000,
	BLOCK_FOR_MAX_MS = 7 * 86400 * 1000,
};

static const char *const on_limits[] = {[ON_LIMIT_RESET] = "reset", [ON_LIMIT_DROP] = "drop", NULL};

/* ---- lists ---- */

static void forget(struct prefixes *prefixes)
{
	free(prefixes->first);
	free(prefixes->word);
	*prefixes = (struct prefixes){0};
}

/* Reads the list that text says, if any. */
static int read_list(const struct target *target, struct value *value, const char *text,
                     enum prefix_word word, struct prefix_list *list)
{
	struct value other = {.text = text};
	int err = text ? prefixes_read(&other, target->file, target->rules, word, list) : 0;

	if (err == -EINVAL)
		memcpy(value->why, other.why, sizeof(value->why));
	return err;
}

static int make(struct prefix_list *list, struct prefixes *ret)
{
	struct prefixes made;
	int err = prefixes_make(list, &made);

	if (err)
		return err;
	forget(ret);
	*ret = made;
	return 0;
}

/* All lists together are bounded as well. */
static int count_all(const struct target *target, struct value *value)
{
	uint64_t n = 0;

	for (unsigned f = 0; f < target->rules->nfarms; f++)
		n += target->rules->farms[f].access.n / 2 + target->rules->farms[f].exempt.n / 2;
	return n <= RULES_PREFIXES_ALL_MAX
	               ? 0
	               : value_wrong(value, value->text,
	                             "makes more than %u prefixes in all lists together",
	                             RULES_PREFIXES_ALL_MAX);
}

static int set_text(char **text, const struct value *value)
{
	char *copy = strdup(value->text);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* Both lists, of which one has just been read. */
static int set_access(struct target *target, struct value *value)
{
	struct rules_farm *farm = target->farm;
	struct prefix_list list = {0};
	int err = read_list(target, value, farm->allow, PREFIX_ALLOW, &list);

	if (!err)
		err = read_list(target, value, farm->deny, PREFIX_DENY, &list);
	if (!err)
		err = make(&list, &farm->access);
	free(list.at);
	return err ? err : count_all(target, value);
}

int farm_allow(struct target *target, struct value *value)
{
	int err = set_text(&target->farm->allow, value);

	target->farm->allows_only = true;
	return err ? err : set_access(target, value);
}

int farm_deny(struct target *target, struct value *value)
{
	int err = set_text(&target->farm->deny, value);

	return err ? err : set_access(target, value);
}

int farm_client_exempt(struct target *target, struct value *value)
{
	struct prefix_list list = {0};
	int err = set_text(&target->farm->client_exempt, value);

	if (!err)
		err = prefixes_read(value, target->file, target->rules, PREFIX_EXEMPT, &list);
	if (!err)
		err = make(&list, &target->farm->exempt);
	free(list.at);
	return err ? err : count_all(target, value);
}

static void show_list(struct shown *shown, const char *list)
{
	if (list)
		show_text(shown, list);
}

void show_farm_allow(const struct target *target, struct shown *shown)
{
	show_list(shown, target->farm->allow);
}

void show_farm_deny(const struct target *target, struct shown *shown)
{
	show_list(shown, target->farm->deny);
}

void show_farm_client_exempt(const struct target *target, struct shown *shown)
{
	show_list(shown, target->farm->client_exempt);
}

/* ---- numbers ---- */

/* A number from 1, or off: 0. */
static int number_or_off(struct value *value, uint32_t most, uint32_t *ret)
{
	uint32_t number = 0;

	if (!value_is(value, "off") && !value_read_number(value->text, 1, most, &number))
		return value_wrong(value, value->text, "is not a number from 1 to %u, nor off",
		                   most);
	*ret = number;
	return 0;
}

static void show_number_or(struct shown *shown, uint32_t number, const char *otherwise)
{
	if (number)
		show_number(shown, number);
	else
		show_text(shown, otherwise);
}

int farm_client_connections(struct target *target, struct value *value)
{
	return number_or_off(value, RULES_CLIENT_CONNECTIONS_MAX,
	                     &target->farm->client_connections);
}

void show_farm_client_connections(const struct target *target, struct shown *shown)
{
	show_number_or(shown, target->farm->client_connections, "off");
}

int farm_client_rate(struct target *target, struct value *value)
{
	return number_or_off(value, RULES_CLIENT_RATE_MAX, &target->farm->client_rate);
}

void show_farm_client_rate(const struct target *target, struct shown *shown)
{
	show_number_or(shown, target->farm->client_rate, "off");
}

int farm_client_burst(struct target *target, struct value *value)
{
	if (value_is(value, "rate")) {
		target->farm->client_burst = 0;
		return 0;
	}
	if (value_read_number(value->text, 1, RULES_CLIENT_RATE_MAX, &target->farm->client_burst))
		return 0;
	return value_wrong(value, value->text, "is not a number from 1 to %u, nor rate",
	                   RULES_CLIENT_RATE_MAX);
}

void show_farm_client_burst(const struct target *target, struct shown *shown)
{
	show_number_or(shown, target->farm->client_burst, "rate");
}

int farm_block_for(struct target *target, struct value *value)
{
	if (value_is(value, "off")) {
		target->farm->block_for_ms = 0;
		return 0;
	}
	return value_duration(value, BLOCK_FOR_MIN_MS, BLOCK_FOR_MAX_MS,
	                      &target->farm->block_for_ms);
}

void show_farm_block_for(const struct target *target, struct shown *shown)
{
	if (target->farm->block_for_ms)
		show_duration(shown, target->farm->block_for_ms);
	else
		show_text(shown, "off");
}

int farm_on_limit(struct target *target, struct value *value)
{
	unsigned on_limit;
	int ret = value_word(value, on_limits, &on_limit);

	if (ret == 0)
		target->farm->on_limit = (enum rules_on_limit)on_limit;
	return ret;
}

void show_farm_on_limit(const struct target *target, struct shown *shown)
{
	show_text(shown, on_limits[target->farm->on_limit]);
}
