/*
 * How the answer to a request is shown.
 */
#ifndef BRIDGE_SHOW_H
#define BRIDGE_SHOW_H

#include "ask.h"
#include "table.h"

#include <stdint.h>

enum { CLI_LINE_BYTES = 4096, CLI_WATCH_MS = 2000 };

/* A command line: the request, and how its answer is to be shown. */
struct cli {
	const char *instance; /* -i, or NULL */
	enum table_format format;
	uint64_t watch_ms; /* --watch: again after that time; 0: once */
	const char *sort;  /* --sort: a column's title or member; or NULL */
	unsigned limit;    /* of rows; or TABLE_ALL */
	bool header, once;
	char line[CLI_LINE_BYTES]; /* the words of the request */
	char *const *words;        /* the same one by one, as one may have blanks in it */
	unsigned nwords;
};

/* Reads the answer to what has been asked, and shows it. Returns the exit status. */
typedef int cli_show(const struct cli *cli, struct ask *ask);

/* Logs what is wrong with a word of the command line and, unless it is NULL, the nearest one that
 * would be right. Returns the exit status. */
int show_complain(const char *what, const char *word, const char *nearest);

/* Shows each record of an answer as a line of a table with these columns. */
int show_list(const struct cli *cli, struct ask *ask, const struct column *columns);

/* Shows a table that has its rows, or that there was no memory for (NULL), sorted and cut as cli
 * says, and frees it. Returns the exit status. */
int show_table(const struct cli *cli, struct table *table);

cli_show show_status, show_servers, show_farms, show_events, show_version, show_flows, show_resets,
        show_done, show_metrics, show_overrides;

/* The member of flows' records for a column, given by its title (in any case) or member, if the
 * running process can sort by it; else NULL. */
const char *flows_order(const char *by);

/* Verbs that send their requests themselves, line being cli->line. */
typedef int cli_asks(const struct cli *cli, const char *line);
cli_asks run_capture, show_who, show_top, check_config;

#endif
