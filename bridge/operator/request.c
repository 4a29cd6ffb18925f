/*
 * Words are all there is to parse: no quotes, no escapes, no JSON.
 */
#include "request.h"

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
