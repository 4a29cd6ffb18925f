/*
 * The words of HAProxy's agent-check (its configuration manual, 5.2), a line from whoever answers
 * on the agent's port: so nothing is believed of it but what it may say.
 */
#include "agent.h"

#include <string.h>

enum { WORD_MAX = 32 };

/* If the n bytes at text are a number, digits and nothing else: which, but at most UINT32_MAX. */
static bool read_number(const char *text, unsigned n, uint32_t *ret)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
		if (number > UINT32_MAX)
			number = UINT32_MAX;
	}
	*ret = (uint32_t)number;
	return n;
}

static bool is(const char *word, unsigned n, const char *what)
{
	return n == strlen(what) && memcmp(word, what, n) == 0;
}

static void take_number(struct agent *agent, const char *word, unsigned n)
{
	const unsigned prefix = sizeof("maxconn:") - 1;
	uint32_t number;

	if (word[n - 1] == '%' && read_number(word, n - 1, &number))
		agent->percent = (uint8_t)(number < AGENT_PERCENT_MAX ? number : AGENT_PERCENT_MAX);
	else if (n > prefix && memcmp(word, "maxconn:", prefix) == 0 &&
	         read_number(word + prefix, n - prefix, &number))
		agent->max_connections = number;
}

static void take_word(struct agent *agent, const char *word, unsigned n)
{
	if (is(word, n, "up"))
		agent->down = false;
	else if (is(word, n, "down") || is(word, n, "fail") || is(word, n, "failed") ||
	         is(word, n, "stopped"))
		agent->down = true;
	else if (is(word, n, "ready"))
		agent->drains = agent->maint = false;
	else if (is(word, n, "drain"))
		agent->maint = !(agent->drains = true);
	else if (is(word, n, "maint"))
		agent->drains = !(agent->maint = true);
	else
		take_number(agent, word, n);
}

static bool ends_word(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == ',';
}

static bool ends_line(uint8_t byte)
{
	return byte == '\r' || byte == '\n' || byte == '#';
}

static char lower(uint8_t byte)
{
	return (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

void agent_take(struct agent *agent, const uint8_t *line, unsigned n)
{
	char word[WORD_MAX];
	unsigned len = 0, i = 0;

	for (bool over = false; !over; i++) {
		over = i == n || ends_line(line[i]);
		if (!over && !ends_word(line[i])) {
			if (len < WORD_MAX)
				word[len] = lower(line[i]);
			len++;
			continue;
		}
		if (len && len <= WORD_MAX) /* longer than any */
			take_word(agent, word, len);
		len = 0;
	}
}

const char *agent_word(const struct agent *agent)
{
	if (agent->down)
		return "down";
	if (agent->maint)
		return "maint";
	return agent->drains ? "drain" : "up";
}

bool agent_eq(const struct agent *a, const struct agent *b)
{
	return a->down == b->down && a->drains == b->drains && a->maint == b->maint &&
	       a->percent == b->percent && a->max_connections == b->max_connections;
}
