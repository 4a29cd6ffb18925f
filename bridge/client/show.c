/*
 * Answers as tables, sorted and cut as the command line wants it.
 */
#include "show.h"

#include "../process/log.h"
#include "../../cfg/nearest.h"

int show_complain(const char *what, const char *word, const char *nearest)
{
	if (nearest)
		log_error("%s: %s (did you mean %s?)", word, what, nearest);
	else
		log_error("%s: %s", word, what);
	return ASK_USAGE;
}

int show_table(const struct cli *cli, struct table *table)
{
	int status = 0;

	if (!table)
		return ASK_FAILED;
	if (!table_sort(table)) {
		struct nearest nearest = {.word = cli->sort};

		table_offer(table, &nearest);
		status = show_complain("no such column", cli->sort, nearest_best(&nearest));
	} else
		table_print(table, cli->limit);
	if (!status && !table_is_whole(table)) {
		log_error("out of memory: that isn't all");
		status = ASK_FAILED;
	}
	table_free(table);
	return status;
}

int show_list(const struct cli *cli, struct ask *ask, const struct column *columns)
{
	struct table *table = table_new(columns, cli->format, cli->header, cli->sort);
	json_t *record;
	int status, shown;
	size_t n = 0;

	while (table && (record = ask_next(ask, &status))) {
		table_add(table, record);
		json_decref(record);
		n++;
	}
	if (!table)
		return ASK_FAILED;
	if (status && !n) { /* no row: no titles either */
		table_free(table);
		return status;
	}
	shown = show_table(cli, table);
	return status ? status : shown;
}
