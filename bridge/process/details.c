/*
 * Values are kept as text, as both JSON and the journal's fields need them.
 */
#include "details.h"

#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Room for another one, or NULL. */
static char *add(struct details *details, const char *name, bool is_text)
{
	struct detail *detail = &details->all[details->n];

	if (details->n == DETAILS_MAX)
		return NULL;
	details->n++;
	detail->name = name;
	detail->is_text = is_text;
	return detail->value;
}

void details_number(struct details *details, const char *name, uint64_t value)
{
	char *at = add(details, name, false);

	if (at)
		snprintf(at, DETAILS_VALUE_BYTES, "%" PRIu64, value);
}

void details_seconds(struct details *details, const char *name, double value)
{
	char *at = add(details, name, false);

	if (at)
		snprintf(at, DETAILS_VALUE_BYTES, "%.1f", value);
}

void details_flag(struct details *details, const char *name, bool value)
{
	char *at = add(details, name, false);

	if (at)
		snprintf(at, DETAILS_VALUE_BYTES, "%s", value ? "true" : "false");
}

void details_text(struct details *details, const char *name, const char *value)
{
	char *at = add(details, name, true);

	if (at)
		snprintf(at, DETAILS_VALUE_BYTES, "%s", value);
}

void details_mac(struct details *details, const char *name, const uint8_t mac[6])
{
	char text[sizeof("00:00:00:00:00:00")];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
	         mac[3], mac[4], mac[5]);
	details_text(details, name, text);
}

const char *details_json(const struct details *details, char *ret, size_t size)
{
	enum { ESCAPED = sizeof("\\u00ff") };
	char value[DETAILS_VALUE_BYTES * ESCAPED];
	size_t used = 0;

	*ret = 0;
	for (unsigned i = 0; details && i < details->n; i++) {
		const struct detail *detail = &details->all[i];
		const char *quote = detail->is_text ? "\"" : "";
		int len = snprintf(ret + used, size - used, ",\"%s\":%s%s%s", detail->name, quote,
		                   text_json(detail->value, value, sizeof(value)), quote);

		if (len >= 0 && (size_t)len < size - used)
			used += (size_t)len;
		ret[used] = 0;
	}
	return ret;
}
