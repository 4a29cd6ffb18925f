/*
 * The keys of [filter NAME].
 *
 * An expression is text here: whoever has libpcap says if it is one.
 */
#include "filter_keys.h"

#include <errno.h>
#include <stdlib.h>

static const char *const no_yes[] = {"no", "yes", NULL};
static const char any[] = "any";

static int check_expression(const struct target *target, struct value *value)
{
	char why[VALUE_WHY_BYTES];
	int err = target->expression ? target->expression(target->filter, why, sizeof(why)) : 0;

	return err == -EINVAL ? value_wrong_as(value, why) : err;
}

static int filter_match(struct target *target, struct value *value)
{
	char *match;

	if (!*value->text)
		return value_wrong(value, value->text,
		                   "is no expression: \"any\" stands for all frames");
	match = strdup(value_is(value, any) ? "" : value->text);
	if (!match)
		return -ENOMEM;
	free(target->filter->match);
	target->filter->match = match;
	return check_expression(target, value);
}

static void show_filter_match(const struct target *target, struct shown *shown)
{
	if (target->filter->match)
		show_text(shown, *target->filter->match ? target->filter->match : any);
}

/* By the sides' bits: 1 is the first, 2 the second, 3 both. */
static const char *const sides[] = {"outside", "inside", "both", NULL};

static int filter_side(struct target *target, struct value *value)
{
	unsigned side;
	int ret = value_word(value, sides, &side);

	if (ret == 0)
		target->filter->sides = (uint8_t)(side + 1);
	return ret;
}

static void show_filter_side(const struct target *target, struct shown *shown)
{
	show_text(shown, sides[target->filter->sides - 1]);
}

static int filter_action(struct target *target, struct value *value)
{
	unsigned action;
	int ret = value_word(value, rules_filter_action_words, &action);

	if (ret == 0)
		target->filter->action = (enum rules_filter_action)action;
	return ret;
}

static void show_filter_action(const struct target *target, struct shown *shown)
{
	show_text(shown, rules_filter_action_words[target->filter->action]);
}

static int filter_rate(struct target *target, struct value *value)
{
	if (value_is(value, "off")) {
		target->filter->rate = 0;
		return 0;
	}
	if (value_number(value, 1, RULES_FILTER_RATE_MAX, &target->filter->rate) == 0)
		return 0;
	return value_wrong(value, value->text, "is not a number from 1 to %u, nor off",
	                   RULES_FILTER_RATE_MAX);
}

static void show_filter_rate(const struct target *target, struct shown *shown)
{
	if (target->filter->rate)
		show_number(shown, target->filter->rate);
	else
		show_text(shown, "off");
}

static int filter_log(struct target *target, struct value *value)
{
	unsigned word;
	int ret = value_word(value, no_yes, &word);

	if (ret == 0)
		target->filter->log = word;
	return ret;
}

static void show_filter_log(const struct target *target, struct shown *shown)
{
	show_text(shown, no_yes[target->filter->log]);
}

const struct key filter_keys[] = {
        /* name, set, show, default, what to say if it must be there and isn't */
        {"match", filter_match, show_filter_match, NULL,
         "a filter needs a pcap-filter expression, such as match = tcp port 22"},
        {"side", filter_side, show_filter_side, "both", NULL},
        {"action", filter_action, show_filter_action, NULL,
         "a filter needs what to do: pass, drop, reset or count"},
        {"rate", filter_rate, show_filter_rate, "off", NULL},
        {"log", filter_log, show_filter_log, "no", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static_assert(sizeof(filter_keys) / sizeof(struct key) <= KEYS_MAX, "keys of [filter]");
