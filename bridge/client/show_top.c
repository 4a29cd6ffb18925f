/*
 * top: who has most, again and again: servers, farms, reasons, clients.
 *
 * Rates are the running process's own, of its last second; but those of reasons, which it doesn't
 * have, are made of two looks.
 */
#include "show.h"
#include "totals.h"

#include "../process/log.h"
#include "../process/priority.h"
#include "../../cfg/nearest.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const struct column server_columns[] = {
        {"SERVER", "name", COLUMN_TEXT, false},
        {"FARM", "farm", COLUMN_TEXT, false},
        {"HEALTH", "health", COLUMN_TEXT, false},
        {"FLOWS", "connections", COLUMN_NUMBER, false},
        {"NEW/s", "created_s", COLUMN_BYTES, false},
        {"BIT/s", "bits_s", COLUMN_BYTES, false},
        {"HALF-OPEN", "half_open", COLUMN_NUMBER, false},
        {"WEIGHT", "weight", COLUMN_NUMBER, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

static const struct column farm_columns[] = {
        {"FARM", "name", COLUMN_TEXT, false},           {"VIP", "vip", COLUMN_TEXT, false},
        {"FLOWS", "connections", COLUMN_NUMBER, false}, {"NEW/s", "created_s", COLUMN_BYTES, false},
        {"BIT/s", "bits_s", COLUMN_BYTES, false},       {NULL, NULL, COLUMN_TEXT, false},
};

static const struct column reason_columns[] = {
        {"REASON", "reason", COLUMN_TEXT, false},
        {"FRAMES", "frames", COLUMN_BYTES, false},
        {"FRAMES/s", "rate", COLUMN_BYTES, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

static const struct column client_columns[] = {
        {"CLIENT", "client", COLUMN_TEXT, false},
        {"FLOWS", "connections", COLUMN_NUMBER, false},
        {"BYTES", "bytes", COLUMN_BYTES, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

struct top {
	const struct cli *cli;
	struct table *table;
	json_t *before; /* the status of the look before, or NULL */
	double seconds; /* since then */
};

static json_t *ask_status(const struct cli *cli, int *ret)
{
	struct ask *ask = NULL;
	json_t *status = NULL;

	*ret = ask_open(cli->instance, false, &ask);
	if (!*ret)
		status = ask_send(ask, "status") ? ask_next(ask, ret) : NULL;
	totals_add(status);
	ask_close(ask);
	return status;
}

static void add_servers(struct top *top, const json_t *status)
{
	json_t *farm, *server;
	size_t f, s;

	json_array_foreach(json_object_get(status, "farms"), f, farm)
	        json_array_foreach(json_object_get(farm, "servers"), s, server)
	                table_add(top->table, server);
}

static void add_farms(struct top *top, const json_t *status)
{
	json_t *farm;
	size_t f;

	json_array_foreach(json_object_get(status, "farms"), f, farm) table_add(top->table, farm);
}

static void add_reasons(struct top *top, const json_t *status)
{
	const json_t *before = json_object_get(top->before, "reasons");
	const char *name;
	json_t *count;

	json_object_foreach(json_object_get(status, "reasons"), name, count)
	{
		const double now = json_number_value(count);
		const double was = json_number_value(json_object_get(before, name));
		json_t *row = json_pack("{s:s, s:O}", "reason", name, "frames", count);

		if (top->before && top->seconds > 0)
			json_object_set_new(row, "rate", json_real((now - was) / top->seconds));
		table_add(top->table, row);
		json_decref(row);
	}
}

/* Adds a flow to those of its client's address. */
static void count_client(json_t *clients, const json_t *flow)
{
	const char *endpoint = json_string_value(json_object_get(flow, "client"));
	char client[64];
	json_t *row;

	if (!endpoint)
		return;
	snprintf(client, sizeof(client), "%s", endpoint);
	*strrchr(client, ':') = 0;
	row = json_object_get(clients, client);
	if (!row) {
		row = json_pack("{s:s, s:i, s:I}", "client", client, "connections", 0, "bytes",
		                (json_int_t)0);
		json_object_set_new(clients, client, row);
	}
	json_object_set_new(
	        row, "connections",
	        json_integer(json_integer_value(json_object_get(row, "connections")) + 1));
	json_object_set_new(
	        row, "bytes",
	        json_integer(json_integer_value(json_object_get(row, "bytes")) +
	                     json_integer_value(json_object_get(flow, "client_bytes")) +
	                     json_integer_value(json_object_get(flow, "server_bytes"))));
}

static int add_clients(struct top *top)
{
	json_t *clients = json_object(), *flow, *row;
	struct ask *ask = NULL;
	const char *name;
	int status = ask_open(top->cli->instance, false, &ask);

	priority_give_up(); /* they may be a million, and the processors are the wire's */
	if (!status && !ask_send(ask, "flows"))
		status = ASK_FAILED;
	while (!status && (flow = ask_next(ask, &status))) {
		count_client(clients, flow);
		json_decref(flow);
	}
	json_object_foreach(clients, name, row) table_add(top->table, row);
	ask_close(ask);
	json_decref(clients);
	return status;
}

/* What is looked at, by the word behind --by. */
static const struct view {
	const char *name;
	const struct column *columns;
	void (*add)(struct top *top, const json_t *status); /* NULL: clients */
	const char *sort;
} views[] = {
        {"server", server_columns, add_servers, "connections"},
        {"farm", farm_columns, add_farms, "connections"},
        {"reason", reason_columns, add_reasons, "frames"},
        {"client", client_columns, NULL, "connections"},
};

enum { NVIEWS = sizeof(views) / sizeof(views[0]), TOP_ROWS = 20, TOP_PAUSE_S = 1 };

/*
 * By the words behind the verb: --by WORD or --by=WORD, or none. NULL, with what is wrong logged.
 */
static const struct view *choose(const char *line)
{
	const char *words = line + strlen("top");
	const bool is_by = !strncmp(words, " --by ", 6) || !strncmp(words, " --by=", 6);
	struct nearest nearest = {.word = is_by ? words + 6 : words};

	if (!*words)
		return &views[0];
	for (unsigned i = 0; i < NVIEWS; i++) {
		nearest_offer(&nearest, views[i].name);
		if (is_by && !strcmp(nearest.word, views[i].name))
			return &views[i];
	}
	log_error("top [--by server|farm|reason|client] [--once]%s%s%s",
	          nearest_best(&nearest) ? " (did you mean " : "",
	          nearest_best(&nearest) ? nearest_best(&nearest) : "",
	          nearest_best(&nearest) ? "?)" : "");
	return NULL;
}

/* As many as a terminal has room for, beside the titles and the line that the cursor is in. */
static unsigned rows_that_fit(bool once)
{
	struct winsize size = {.ws_row = 0};

	if (once || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 4)
		return TOP_ROWS;
	return size.ws_row - 2u < TOP_ROWS ? size.ws_row - 2u : TOP_ROWS;
}

static int look(struct top *top, const struct view *view, const json_t *status)
{
	struct cli cli = *top->cli;
	int err = 0;

	if (!cli.sort)
		cli.sort = view->sort;
	if (cli.limit == TABLE_ALL)
		cli.limit = rows_that_fit(cli.once);
	top->table = table_new(view->columns, cli.format, cli.header, cli.sort);
	if (!top->table)
		return ASK_FAILED;
	if (view->add)
		view->add(top, status);
	else
		err = add_clients(top);
	if (!cli.once && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	if (!err)
		err = show_table(&cli, top->table);
	else
		table_free(top->table);
	return fflush(stdout) == EOF && !err ? ASK_FAILED : err;
}

int show_top(const struct cli *cli, const char *line)
{
	const struct timespec pause = {.tv_sec = TOP_PAUSE_S};
	const struct view *view = choose(line);
	struct top top = {.cli = cli, .seconds = TOP_PAUSE_S};
	int err = view ? 0 : ASK_USAGE;

	while (!err) {
		json_t *status = ask_status(cli, &err);

		if (status)
			err = look(&top, view, status);
		json_decref(top.before);
		top.before = status;
		if (err || cli->once)
			break;
		nanosleep(&pause, NULL);
	}
	json_decref(top.before);
	return err;
}
