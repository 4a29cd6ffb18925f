/*
 * status, server list, farm list: all made of one record.
 */
#include "cli.h"

#include "../process/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const json_t *at(const json_t *object, const char *a, const char *b)
{
	return json_object_get(json_object_get(object, a), b);
}

static double number(const json_t *object, const char *a, const char *b)
{
	return json_number_value(at(object, a, b));
}

static const char *text(const json_t *object, const char *member)
{
	const char *value = json_string_value(json_object_get(object, member));

	return value ? value : "-";
}

/* The one record, for the caller to json_decref(); NULL: *ret is the exit status. */
static json_t *take(struct ask *ask, int *ret)
{
	json_t *record = ask_next(ask, ret), *end;

	if (record && (end = ask_next(ask, ret)))
		json_decref(end);
	return record;
}

/* ---- Colours: only on a terminal ---- */

static const char *colour(const char *health)
{
	if (!isatty(STDOUT_FILENO))
		return "";
	return !strcmp(health, "up")     ? "\033[32m"
	       : !strcmp(health, "down") ? "\033[31m"
	                                 : "\033[90m";
}

static const char *plain(void)
{
	return isatty(STDOUT_FILENO) ? "\033[0m" : "";
}

/* ---- status ---- */

static void show_ports(const json_t *status)
{
	static const char *const sides[] = {"outside", "inside"};

	printf("%-9s%-12s%-11s%10s%12s%12s%9s%9s\n", "PORT", "INTERFACE", "LINK", "RECEIVED/s",
	       "RECEIVED", "SENT", "FAILED", "MISSED");
	for (unsigned side = 0; side < 2; side++) {
		const json_t *port = at(status, "ports", sides[side]);
		const json_t *rate = json_object_get(port, "received_s");

		printf("%-9s%-12s%-11s%10s%12s%12s%9s%9s\n", sides[side], text(port, "name"),
		       text(port, "link"), rate ? table_bytes(json_number_value(rate)) : "-",
		       table_bytes(json_number_value(json_object_get(port, "received"))),
		       table_bytes(json_number_value(json_object_get(port, "sent"))),
		       table_bytes(json_number_value(json_object_get(port, "send_failed"))),
		       table_bytes(json_number_value(json_object_get(port, "missed"))));
	}
}

static void print_flows(const json_t *status)
{
	const double open = number(status, "flows", "open");
	const double capacity = number(status, "flows", "capacity");

	printf("\nflows: %.0f of %.0f (%.1f %%), %.0f half-open, %.0f resting", open, capacity,
	       capacity > 0 ? 100 * open / capacity : 0, number(status, "flows", "half_open"),
	       number(status, "flows", "quarantined"));
	if (at(status, "rates", "created"))
		printf(", %.1f new/s, %.1f refused/s", number(status, "rates", "created"),
		       number(status, "rates", "refused"));
	printf("\n");
}

static void show_server_line(const json_t *server)
{
	const char *health = text(server, "health");
	const bool overridden = json_object_get(server, "state_in_file") ||
	                        json_object_get(server, "weight_in_file");
	char state[32];

	snprintf(state, sizeof(state), "%s%s", text(server, "state"), overridden ? "*" : "");
	printf("  %-20s%-17s%-10s%s%-8s%s%8s%7.0f%9s%9s\n", text(server, "name"),
	       text(server, "address"), state, colour(health), health, plain(),
	       table_duration(table_age(text(server, "since"))),
	       json_number_value(json_object_get(server, "weight")),
	       table_bytes(json_number_value(json_object_get(server, "connections"))),
	       json_object_get(server, "created_s")
	               ? table_bytes(json_number_value(json_object_get(server, "created_s")))
	               : "-");
}

static void show_farm(const json_t *farm)
{
	size_t i;
	const json_t *server;

	printf("\nfarm %s  %s  %s%s\n", text(farm, "name"), text(farm, "vip"),
	       json_is_true(json_object_get(farm, "up")) ? "up" : "DOWN",
	       json_is_true(json_object_get(farm, "removed")) ? "  (removed)" : "");
	printf("  %-20s%-17s%-10s%-8s%8s%7s%9s%9s\n", "SERVER", "ADDRESS", "STATE", "HEALTH",
	       "SINCE", "WEIGHT", "FLOWS", "NEW/s");
	json_array_foreach(json_object_get(farm, "servers"), i, server) show_server_line(server);
}

static void show_filters(const json_t *status)
{
	const json_t *filters = json_object_get(status, "filters"), *filter;
	size_t i;

	if (!json_array_size(filters))
		return;
	printf("\n%-22s%-8s%10s%10s%10s%8s\n", "FILTER", "ACTION", "MATCHED", "OVER", "DROPPED",
	       "LAST");
	json_array_foreach(filters, i, filter)
	{
		const bool ever = json_is_string(json_object_get(filter, "last"));

		printf("%-22s%-8s%10s%10s%10s%8s\n", text(filter, "name"), text(filter, "action"),
		       table_bytes(json_number_value(json_object_get(filter, "matched"))),
		       table_bytes(json_number_value(json_object_get(filter, "over"))),
		       table_bytes(json_number_value(json_object_get(filter, "dropped"))),
		       ever ? table_duration(table_age(text(filter, "last"))) : "-");
	}
}

/* ---- Warnings: last, so that they are seen ---- */

static unsigned add_warning(unsigned n, const char *about, const char *what)
{
	if (!n)
		printf("\n");
	printf("! %s: %s\n", about, what);
	return n + 1;
}

static unsigned warn_of_server(unsigned n, const json_t *server)
{
	char what[256];

	if (strcmp(text(server, "health"), "down"))
		return n;
	snprintf(what, sizeof(what), "down for %s: port %" PRIi64 ": %s",
	         table_duration(table_age(text(server, "since"))),
	         (int64_t)json_integer_value(json_object_get(server, "failed_port")),
	         text(server, "failed_why"));
	return add_warning(n, text(server, "name"), what);
}

static void show_warnings(const json_t *status)
{
	static const char *const sides[] = {"outside", "inside"};
	const json_t *farm, *server;
	size_t f, s;
	unsigned n = 0;

	for (unsigned side = 0; side < 2; side++) {
		const json_t *port = at(status, "ports", sides[side]);

		if (json_object_get(port, "link") && strcmp(text(port, "link"), "up"))
			n = add_warning(n, text(port, "name"), text(port, "link"));
	}
	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		if (!json_is_true(json_object_get(farm, "up")))
			n = add_warning(n, text(farm, "name"), "no server takes connections");
		json_array_foreach(json_object_get(farm, "servers"), s, server) n =
		        warn_of_server(n, server);
	}
	if (json_is_true(json_object_get(status, "bypass")))
		add_warning(n, "wire", "bypass: nothing is balanced");
}

int show_status(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status = take(ask, &ret);
	const json_t *farm;
	size_t i;

	(void)cli;
	if (!status)
		return ret;
	printf("tmbridge %s, up %s, %.0f worker%s\n\n", text(status, "version"),
	       table_duration(json_number_value(json_object_get(status, "uptime_s"))),
	       number(status, "workers", "running"),
	       number(status, "workers", "running") > 1 ? "s" : "");
	show_ports(status);
	print_flows(status);
	json_array_foreach(json_object_get(status, "farms"), i, farm) show_farm(farm);
	show_filters(status);
	show_warnings(status);
	json_decref(status);
	return ret;
}

/* ---- Lists ---- */

static const struct column server_columns[] = {
        {"FARM", "farm", COLUMN_TEXT, false},
        {"SERVER", "name", COLUMN_TEXT, false},
        {"ADDRESS", "address", COLUMN_TEXT, false},
        {"STATE", "state", COLUMN_TEXT, false},
        {"HEALTH", "health", COLUMN_TEXT, false},
        {"SINCE", "since", COLUMN_AGE, false},
        {"WEIGHT", "weight", COLUMN_NUMBER, false},
        {"FLOWS", "connections", COLUMN_NUMBER, false},
        {"HALF-OPEN", "half_open", COLUMN_NUMBER, true},
        {"TOTAL", "connections_total", COLUMN_NUMBER, true},
        {"PROBES OK", "probes_ok", COLUMN_NUMBER, true},
        {"FAILED", "failed", COLUMN_NUMBER, true},
        {"FAILED PORT", "failed_port", COLUMN_NUMBER, true},
        {"FAILED WHY", "failed_why", COLUMN_TEXT, true},
        {NULL, NULL, COLUMN_TEXT, false},
};

static const struct column farm_columns[] = {
        {"FARM", "name", COLUMN_TEXT, false},
        {"VIP", "vip", COLUMN_TEXT, false},
        {"UP", "up", COLUMN_TEXT, false},
        {"SERVERS", "nservers", COLUMN_NUMBER, false},
        {"SERVERS UP", "nup", COLUMN_NUMBER, false},
        {"FLOWS", "connections", COLUMN_NUMBER, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

int show_servers(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status = take(ask, &ret), *farm, *server;
	struct table *table = table_new(server_columns, cli->format, cli->header);
	size_t f, s;

	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		json_array_foreach(json_object_get(farm, "servers"), s, server)
		{
			json_object_set(server, "farm", json_object_get(farm, "name"));
			json_object_set(server, "failed", json_object_get(server, "probes_failed"));
			if (table)
				table_add(table, server);
		}
	}
	json_decref(status);
	if (!ret)
		return cli_table(cli, table);
	table_free(table);
	return ret;
}

static void count_servers(json_t *farm)
{
	size_t i, up = 0;
	json_int_t flows = 0;
	const json_t *server, *servers = json_object_get(farm, "servers");

	json_array_foreach(servers, i, server)
	{
		up += !strcmp(text(server, "health"), "up");
		flows += json_integer_value(json_object_get(server, "connections"));
	}
	json_object_set_new(farm, "nservers", json_integer((json_int_t)json_array_size(servers)));
	json_object_set_new(farm, "nup", json_integer((json_int_t)up));
	json_object_set_new(farm, "connections", json_integer(flows));
}

int show_farms(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status = take(ask, &ret), *farm;
	struct table *table = table_new(farm_columns, cli->format, cli->header);
	size_t f;

	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		count_servers(farm);
		if (table)
			table_add(table, farm);
	}
	json_decref(status);
	if (!ret)
		return cli_table(cli, table);
	table_free(table);
	return ret;
}

/* ---- version, events ---- */

int show_version(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *record = take(ask, &ret);

	(void)cli;
	if (record)
		printf("tmbridge %s, process %" PRIi64 ", %s\n", text(record, "version"),
		       (int64_t)json_integer_value(json_object_get(record, "pid")),
		       text(record, "config"));
	json_decref(record);
	return ret;
}

/* As they come: with -f there is no end. */
int show_events(const struct cli *cli, struct ask *ask)
{
	json_t *record;
	int ret;

	(void)cli;
	while ((record = ask_next(ask, &ret))) {
		const json_t *lost = json_object_get(record, "lost");
		const char *about = text(record, "about");

		if (lost)
			printf("(%" PRIi64 " were lost)\n", (int64_t)json_integer_value(lost));
		else
			printf("%s  %-8s %s%s%s\n", text(record, "time"), text(record, "level"),
			       about, *about ? ": " : "", text(record, "text"));
		fflush(stdout);
		json_decref(record);
	}
	return ret;
}
