/*
 * metrics: the lines as they are.
 */
#include "show.h"

#include <stdio.h>

int show_metrics(const struct cli *cli, struct ask *ask)
{
	json_t *record;
	int ret;

	(void)cli;
	while ((record = ask_next(ask, &ret))) {
		const char *line = json_string_value(json_object_get(record, "line"));

		puts(line ? line : "");
		json_decref(record);
	}
	return ret;
}
