/*
 * metrics: the figures as OpenMetrics, a record for each line.
 */
#include "verb.h"

#include "metrics.h"
#include "../process/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METRICS_LINE_BYTES = 1024 };

/* Makes records of lines. NULL if memory runs out. */
static char *records_of(char *lines)
{
	char escaped[METRICS_LINE_BYTES], *rest = NULL, *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		fprintf(out, "{\"line\":\"%s\"}\n", text_json(line, escaped, sizeof(escaped)));
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

void verb_metrics(struct world *world, struct client *client, struct request *request, lb_time now)
{
	struct snapshot snapshot;
	char *lines, *records;

	if (verb_too_much(client, request) || !verb_snapshot(world, client, now, &snapshot))
		return;
	lines = metrics_text(&snapshot);
	snapshot_free(&snapshot);
	records = lines ? records_of(lines) : NULL;
	free(lines);
	if (!records) {
		answer_fail(&client->answer, ANSWER_FAILED, "no_memory", NULL, "out of memory");
		return;
	}
	answer_hold(&client->answer, records);
	answer_end(&client->answer);
}
