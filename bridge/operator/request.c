/*
 * Words are all there is to parse: no quotes, no escapes, no JSON.
 */
#include "request.h"

#include "../process/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool request_split(char *line, struct request *ret)
{
	char *rest = NULL, *word;

	*ret = (struct request){.n = 0};
	for (const char *c = line; *c; c++)
		if ((*c < ' ' || *c > '~') && *c != '\t')
			return false;
	for (word = strtok_r(line, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		if (ret->n == REQUEST_WORDS)
			return false;
		ret->words[ret->n++] = word;
	}
	return true;
}

static void drop(struct request *request, unsigned at, unsigned n)
{
	for (unsigned i = at; i + n <= request->n; i++)
		request->words[i] = request->words[i + n];
	request->n -= n;
}

const char *request_take(struct request *request, const char *option)
{
	const size_t len = strlen(option);

	for (unsigned i = 0; i < request->n; i++) {
		const char *word = request->words[i], *value = NULL;
		unsigned n = 1;

		if (strncmp(word, option, len))
			continue;
		if (word[len] == '=') {
			value = word + len + 1;
		} else if (!word[len] && i + 1 < request->n) {
			value = request->words[i + 1];
			n = 2;
		}
		if (!value)
			continue;
		drop(request, i, n);
		return value;
	}
	return NULL;
}

bool request_take_flag(struct request *request, const char *option)
{
	for (unsigned i = 0; i < request->n; i++)
		if (!strcmp(request->words[i], option)) {
			drop(request, i, 1);
			return true;
		}
	return false;
}

/* Of what a duration may be in, the longer ones first. */
static const struct {
	const char *name;
	uint64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { NUNITS = sizeof(units) / sizeof(units[0]) };

/* The unit at *text, which is moved behind it, if it is one from `from` on; NUNITS: it is none. */
static unsigned take_unit(const char **text, unsigned from)
{
	const size_t len = strspn(*text, "dhms");

	for (unsigned i = from; i < NUNITS; i++)
		if (strlen(units[i].name) == len && !strncmp(*text, units[i].name, len)) {
			*text += len;
			return i;
		}
	return NUNITS;
}

bool request_duration(const char *text, unsigned *ret_ms)
{
	const char *at = text;
	uint64_t total = 0;
	unsigned unit = 0;

	if (!text[strspn(text, "0123456789")]) {
		unsigned long seconds;

		if (!text_number(text, REQUEST_SECONDS_MAX, &seconds))
			return false;
		*ret_ms = (unsigned)seconds * 1000;
		return true;
	}
	do {
		uint64_t n = 0;

		if (*at < '0' || *at > '9')
			return false;
		for (; *at >= '0' && *at <= '9' && n <= REQUEST_SECONDS_MAX * UINT64_C(1000); at++)
			n = n * 10 + (uint64_t)(*at - '0');
		unit = take_unit(&at, unit);
		if (unit == NUNITS)
			return false;
		total += n * units[unit++].ms;
		if (total > REQUEST_SECONDS_MAX * UINT64_C(1000))
			return false;
	} while (*at);
	*ret_ms = (unsigned)total;
	return true;
}
