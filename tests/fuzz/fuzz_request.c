/*
 * Fuzzer for requests: a line, its words, its options, and the filter that they may be. What
 * follows the line is a flow that is looked at.
 *
 * Beside what the sanitizers find: words hold no blanks and are within the line; a filter of one
 * term and its opposite never say the same of a flow that they both look at; and what is said of an
 * error is never empty.
 */
#include "../../bridge/operator/filter.h"
#include "../../bridge/process/quantity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rules_server servers[] = {{.name = "fe1", .farm = 0},
                                        {.name = "fe2", .farm = 0},
                                        {.name = "web-1.example", .farm = 1}};
static struct rules_farm farms[] = {{.name = "pool", .server = 0, .nservers = 2},
                                    {.name = "web", .server = 2, .nservers = 1}};
static const struct rules rules = {.farms = farms, .nfarms = 2, .servers = servers, .nservers = 3};

static const uint64_t most = UINT32_MAX; /* of all that may be typed */

static void ensure(bool is)
{
	if (!is)
		abort();
}

static void look_at_number(enum quantity quantity, const char *word)
{
	char why[QUANTITY_WHY_BYTES] = "";
	uint64_t n;

	if (quantity_parse(quantity, word, &n, why))
		ensure(n <= most);
	else
		ensure(*why);
}

static void look_at_words(const struct request *request, const char *line, size_t len)
{
	ensure(request->n <= REQUEST_WORDS && !request->words[request->n]);
	for (unsigned i = 0; i < request->n; i++) {
		const char *word = request->words[i];

		ensure(word >= line && word < line + len && *word && !strpbrk(word, " \t\n"));
		for (unsigned q = 0; q < NQUANTITIES; q++)
			look_at_number((enum quantity)q, word);
	}
}

static void look_at_flow(struct filter *filter, const uint8_t *data, size_t size)
{
	struct flow_view view = {.state = FLOW_OPEN};
	bool is;

	memcpy(&view.addresses, data,
	       size < sizeof(view.addresses) ? size : sizeof(view.addresses));
	if (size > 8) {
		view.server = data[0] % 3;
		view.state = (uint8_t)(FLOW_HALF_OPEN + data[1] % 5);
		view.age_ms = data[2] * 1000u;
		view.bytes[0] = data[3] * 1000u;
	}
	is = filter_matches(filter, &rules, &view);
	if (filter->n != 1)
		return;
	filter->resting = true;
	is = filter_matches(filter, &rules, &view);
	filter->terms[0].negated = !filter->terms[0].negated;
	ensure(filter_matches(filter, &rules, &view) != is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *feed = memchr(data, '\n', size);
	const size_t len = feed ? (size_t)(feed - data) : size;
	char *line = malloc(len + 1);
	struct request request;
	struct filter filter;
	struct filter_why why;

	ensure(line);
	memcpy(line, data, len);
	line[len] = 0;
	if (request_split(line, &request)) {
		look_at_words(&request, line, len + 1);
		request_take(&request, "--wait");
		request_take_flag(&request, "--reset");
		look_at_words(&request, line, len + 1);
		if (filter_parse(&request, &rules, &filter, &why))
			look_at_flow(&filter, data + len, size - len);
		else
			ensure(*why.text);
	}
	free(line);
	return 0;
}
