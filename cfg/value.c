/*
 * What a value of lb.ini may look like, and what to say when it doesn't.
 *
 * Each parser takes a whole value, which iniparser has already stripped of blanks, quotes and
 * comment. Parsing is strict: no signs, no hexadecimal, no leading or trailing rest, because what a
 * sloppy parser makes of a typing error is worse than an error. A message always begins with the
 * very item that is wrong, and says what would be right. Addresses are in ip.c, lists in list.c.
 *
 * Which bounds apply to which key is not known here: see keys.c.
 */
#include "value.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	ITEM_SHOWN = 40, /* bytes of a wrong item that a message shows */
	VLAN_MAX = 4094, /* IEEE 802.1Q: 4095 is reserved */
};

/* Largest first, so that the first one that divides a duration is the one to show it in. */
static const struct unit {
	const char *name;
	uint32_t ms;
} units[] = {
        {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

enum {
	UNITS = sizeof(units) / sizeof(units[0]),
};

static const char *dots(const char *item)
{
	return strlen(item) > ITEM_SHOWN ? "..." : "";
}

int value_wrong(struct value *value, const char *item, const char *fmt, ...)
{
	char text[VALUE_WHY_BYTES / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!*item)
		item = "an empty value";
	snprintf(value->why, sizeof(value->why), "%.*s%s %s", ITEM_SHOWN, item, dots(item), text);
	return -EINVAL;
}

int value_wrong_as(struct value *value, const char *words)
{
	snprintf(value->why, sizeof(value->why), "%.*s%s: %s", ITEM_SHOWN, value->text,
	         dots(value->text), words);
	return -EINVAL;
}

/* Reads the digits that text begins with; fails above max or without any. Returns the rest. */
static const char *read_digits(const char *text, uint32_t max, uint32_t *ret)
{
	uint64_t number = 0;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		number = number * 10 + (uint64_t)(*text - '0');
		if (number > max)
			return NULL;
	}
	*ret = (uint32_t)number;
	return text;
}

bool value_read_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	uint32_t number;
	const char *rest = read_digits(text, max, &number);

	if (!rest || *rest || number < min)
		return false;
	*ret = number;
	return true;
}

int value_number(struct value *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	if (value_read_number(value->text, min, max, ret))
		return 0;
	return value_wrong(value, value->text, "is not a number from %u to %u", min, max);
}

int value_vlan(struct value *value, uint16_t *ret)
{
	uint32_t vlan = 0;
	int err = value_is(value, "off") ? 0 : value_number(value, 1, VLAN_MAX, &vlan);

	if (err == 0)
		*ret = (uint16_t)vlan;
	return err;
}

const char *value_duration_text(uint32_t ms, char text[VALUE_DURATION_BYTES])
{
	const struct unit *unit = units;

	while (unit->ms > 1 && (ms == 0 || ms % unit->ms))
		unit++;
	snprintf(text, VALUE_DURATION_BYTES, "%u%s", ms / unit->ms, unit->name);
	return text;
}

static const struct unit *find_unit(const char *name)
{
	for (unsigned i = 0; i < UNITS; i++)
		if (strcasecmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

int value_duration(struct value *value, uint32_t min_ms, uint32_t max_ms, uint32_t *ret_ms)
{
	char min[VALUE_DURATION_BYTES], max[VALUE_DURATION_BYTES];
	uint32_t number;
	const char *rest = read_digits(value->text, UINT32_MAX, &number);
	const struct unit *unit = rest ? find_unit(rest) : NULL;
	uint64_t ms;

	if (rest && !*rest)
		return value_wrong(value, value->text, "has no unit: %us, or one of ms, m, h, d",
		                   number);
	if (!unit)
		return value_wrong(value, value->text,
		                   "is not a duration such as 500ms, 90s, 30m, 1h or 1d");
	ms = (uint64_t)number * unit->ms;
	if (ms < min_ms || ms > max_ms)
		return value_wrong(value, value->text, "is not from %s to %s",
		                   value_duration_text(min_ms, min),
		                   value_duration_text(max_ms, max));
	*ret_ms = (uint32_t)ms;
	return 0;
}

bool value_is(const struct value *value, const char *word)
{
	return strcasecmp(value->text, word) == 0;
}

int value_word(struct value *value, const char *const *words, unsigned *ret_index)
{
	char all[VALUE_WHY_BYTES / 4] = "";
	size_t used = 0;

	for (unsigned i = 0; words[i]; i++) {
		if (strcasecmp(words[i], value->text) == 0) {
			*ret_index = i;
			return 0;
		}
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
			                         i ? ", " : "", words[i]);
	}
	return value_wrong(value, value->text, "is not one of: %s", all);
}

/* Six pairs of hexadecimal digits with a colon, or always a hyphen, in between. */
static bool read_mac(const char *text, struct mac *ret)
{
	char sep = text[0] && text[1] && text[2] == '-' ? '-' : ':';

	for (unsigned i = 0; i < sizeof(ret->b); i++, text += 3) {
		char pair[3] = {text[0], text[0] ? text[1] : 0, 0};

		if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
			return false;
		if (text[2] != (i + 1 < sizeof(ret->b) ? sep : 0))
			return false;
		ret->b[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

int value_mac(struct value *value, struct mac *ret)
{
	static const struct mac zero;
	struct mac mac;

	if (!read_mac(value->text, &mac))
		return value_wrong(value, value->text,
		                   "is not a MAC address such as 02:00:00:00:00:41");
	if (mac_is_group(&mac))
		return value_wrong(value, value->text,
		                   "is a multicast MAC address, but an interface's is needed");
	if (mac_eq(&mac, &zero))
		return value_wrong(value, value->text, "is no interface's MAC address");
	*ret = mac;
	return 0;
}
