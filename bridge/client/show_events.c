/*
 * events: lines of the log, the last ones and with -f those that come.
 */
#include "show.h"

#include <inttypes.h>
#include <stdio.h>

static const struct column event_columns[] = {
        {"TIME", "time", COLUMN_TEXT, false},   {"LEVEL", "level", COLUMN_TEXT, false},
        {"ABOUT", "about", COLUMN_TEXT, false}, {"TEXT", "text", COLUMN_TEXT, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

/* Prints one event as a table of its own, as with -f there may be no end of them. Returns the exit
 * status. */
static int print_event_row(const struct cli *cli, const json_t *event, bool header)
{
	struct table *table = table_new(event_columns, TABLE_CSV, header, NULL);
	struct cli all = *cli;

	all.limit = TABLE_ALL; /* it is one of those that are meant */
	if (table)
		table_add(table, event);
	return show_table(&all, table);
}

static void print_event(const json_t *event)
{
	const json_t *lost = json_object_get(event, "lost");
	const char *about = ask_text(event, "about");

	if (lost)
		printf("(%" PRIi64 " were lost)\n", (int64_t)json_integer_value(lost));
	else
		printf("%s  %-8s %s%s%s\n", ask_text(event, "time"), ask_text(event, "level"),
		       about, *about ? ": " : "", ask_text(event, "text"));
}

/* As they come: with -f there is no end. */
int show_events(const struct cli *cli, struct ask *ask)
{
	bool header = cli->header;
	json_t *record;
	int ret = 0, failed = 0;

	while (!ferror(stdout) && (record = ask_next(ask, &ret))) {
		if (cli->format != TABLE_CSV)
			print_event(record);
		else if (!json_object_get(record, "lost"))
			failed |= print_event_row(cli, record, header);
		header = false;
		fflush(stdout);
		json_decref(record);
	}
	return ret ? ret : failed;
}
