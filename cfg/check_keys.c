/*
 * The keys of [check NAME].
 */
#include "check_keys.h"

#include "bytes.h"
#include "scripts.h"

#include <stdio.h>

static const char *const wheres[] = {
        [SCRIPT_PREFIX] = "prefix", [SCRIPT_ANYWHERE] = "substring", NULL};

static int check_send(struct target *target, struct value *value)
{
	return scripts_set_send(value, value->text, target->script);
}

static void show_check_send(const struct target *target, struct shown *shown)
{
	show_bytes(shown, target->script->send, NULL, target->script->nsend);
}

static int check_expect(struct target *target, struct value *value)
{
	return scripts_set_expect(value, value->text, target->script);
}

static void show_check_expect(const struct target *target, struct shown *shown)
{
	show_bytes(shown, target->script->expect, target->script->mask, target->script->nexpect);
}

static int check_match(struct target *target, struct value *value)
{
	unsigned where;
	int ret = value_word(value, wheres, &where);

	if (ret == 0)
		target->script->where = (uint8_t)where;
	return ret;
}

static void show_check_match(const struct target *target, struct shown *shown)
{
	show_text(shown, wheres[target->script->where]);
}

static int check_number(struct target *target, struct value *value)
{
	return scripts_read_numbers(value, value->text, &target->script->low,
	                            &target->script->high);
}

static void show_check_number(const struct target *target, struct shown *shown)
{
	char text[sizeof("65535-65535")];

	if (!target->script->high)
		return;
	snprintf(text, sizeof(text), target->script->low == target->script->high ? "%u" : "%u-%u",
	         target->script->low, target->script->high);
	show_text(shown, text);
}

const struct key check_keys[] = {
        /* name, set, show, default, what to say if it must be there and isn't */
        {"send", check_send, show_check_send, NULL, NULL},
        {"expect", check_expect, show_check_expect, NULL,
         "a check needs what the server is to answer, such as expect = +PONG"},
        {"match", check_match, show_check_match, "prefix", NULL},
        {"number", check_number, show_check_number, NULL, NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static_assert(sizeof(check_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [check]");
