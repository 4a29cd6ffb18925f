/*
 * The command line of those who ask a running tmbridge: tmbridge VERB ...
 */
#ifndef BRIDGE_CLI_H
#define BRIDGE_CLI_H

#include "ask.h"
#include "table.h"

enum { CLI_LINE_BYTES = 4096, CLI_SECONDS_MAX = 1000000 };
enum { CLI_SORTED_MAX = 1000 }; /* flows: as many as who is asked sorts (operator/best.h) */

/* A command line: the request, and how its answer is to be shown. */
struct cli {
	const char *instance; /* -i, or NULL */
	enum table_format format;
	double watch_s; /* --watch; 0: once */
	const char *sort;
	unsigned limit; /* 0: all */
	bool header, once;
	char line[CLI_LINE_BYTES]; /* the words of the request */
	char *const *words;        /* they, each by itself, as one may have blanks in it */
	unsigned nwords;
};

/* Reads the answer to what has been asked, and shows it. Returns the exit status. */
typedef int cli_show(const struct cli *cli, struct ask *ask);

/* If these arguments of main() are a verb's, and not interfaces or options. */
bool cli_is_meant(int argc, char **argv);

/* The verb that is most like the word, or NULL. */
const char *cli_nearest(const char *word);

/* Runs the verb, and returns the exit status. */
int cli_run(int argc, char **argv);

/* Shows each record of an answer as a line of a table with these columns. */
int cli_list(const struct cli *cli, struct ask *ask, const struct column *columns);

/* Shows a table whose rows are added; and frees it. Returns the exit status. */
int cli_table(const struct cli *cli, struct table *table);

cli_show show_status, show_servers, show_farms, show_events, show_version, show_flows, show_resets,
        show_done, show_metrics, show_overrides;

/* The member of flows' records that a column has of that title (in any case) or member, if who is
 * asked can sort by it; else NULL. */
const char *flows_order(const char *by);

/* Verbs that send their requests themselves, line being cli->line. */
typedef int cli_asks(const struct cli *cli, const char *line);
cli_asks run_capture, show_who, show_top, check_config;

#endif
