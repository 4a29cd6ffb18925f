/*
 * status, server list, farm list: all made of one record.
 */
#include "show.h"
#include "totals.h"

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

/* The one record, for the caller to json_decref(); NULL: *ret is the exit status. */
static json_t *take(struct ask *ask, int *ret)
{
	json_t *record = ask_next(ask, ret), *end;

	if (record && (end = ask_next(ask, ret)))
		json_decref(end);
	totals_add(record);
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

static double value(const json_t *object, const char *member)
{
	return json_number_value(json_object_get(object, member));
}

/* Of two rates of bytes a second, or of one, as bits; "-" if there are none yet. */
static const char *bits(const json_t *object, const char *a, const char *b)
{
	if (!json_object_get(object, a))
		return "-";
	return table_bytes(8 * (value(object, a) + (b ? value(object, b) : 0)));
}

static const char *a_second(const json_t *object, const char *member)
{
	return json_object_get(object, member) ? table_bytes(value(object, member)) : "-";
}

static const char *const sides[] = {"outside", "inside"};

static void show_ports(const json_t *status)
{
	printf("%-9s%-14s%-11s%9s%10s%10s%10s%9s%9s%9s\n", "PORT", "INTERFACE", "LINK", "IN/s",
	       "BIT/s IN", "BIT/s OUT", "RECEIVED", "SENT", "FAILED", "MISSED");
	for (unsigned side = 0; side < 2; side++) {
		const json_t *port = at(status, "ports", sides[side]);

		if (!port)
			continue; /* one-armed, there is no inside */
		printf("%-9s%-14s%-11s%9s%10s%10s%10s%9s%9s%9s\n", sides[side],
		       ask_text(port, "name"), ask_text(port, "link"), a_second(port, "received_s"),
		       bits(port, "received_bytes_s", NULL), bits(port, "sent_bytes_s", NULL),
		       table_bytes(value(port, "received")), table_bytes(value(port, "sent")),
		       table_bytes(value(port, "send_failed")), table_bytes(value(port, "missed")));
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

enum { STATUS_COLUMNS = 100 };

/* Each reason for which somebody was turned away, in lines that fit. */
static void print_refusals(const json_t *status)
{
	const json_t *refusals = json_object_get(status, "refusals"), *count;
	const json_t *rates = at(status, "rates", "refusals");
	const char *why;
	char item[128];
	int column = 0;

	json_object_foreach((json_t *)(uintptr_t)refusals, why, count)
	{
		const json_t *rate = json_object_get(rates, why);
		int len = snprintf(item, sizeof(item), "%s %s", why,
		                   table_bytes(json_number_value(count)));

		if (json_number_value(rate) > 0)
			len += snprintf(item + len, sizeof(item) - (size_t)len, " (%.1f/s)",
			                json_number_value(rate));
		if (!column)
			column = printf("refused: %s", item);
		else if (column + 2 + len >= STATUS_COLUMNS)
			printf(","), column = printf("\n         %s", item) - 1;
		else
			column += printf(", %s", item);
	}
	if (column)
		printf("\n");
}

static const char *milliseconds(const json_t *server, const char *member, char ret[16])
{
	const double ms = value(server, member);

	if (ms <= 0)
		return "-";
	snprintf(ret, 16, ms < 10 ? "%.2f" : ms < 1000 ? "%.1f" : "%.0f", ms);
	return ret;
}

/* A text in a column, the last place of which is a mark if it is cut. */
static const char *cut(const char *text, size_t width, char ret[64])
{
	snprintf(ret, 64, "%s", text);
	if (strlen(ret) > width)
		snprintf(ret + width - 1, 2, "+");
	return ret;
}

/* An address likewise, but at its begin: its end is what tells it from others. */
static const char *cut_address(const char *address, size_t width, char ret[64])
{
	const size_t len = strlen(address);

	if (len > width)
		snprintf(ret, 64, "+%s", address + len - (width - 1));
	else
		snprintf(ret, 64, "%s", address);
	return ret;
}

/* A value over which an operator has laid another one than the file's is marked. */
static const char *mark(const json_t *server, const char *in_file)
{
	return json_object_get(server, in_file) ? "*" : "";
}

static void show_server_line(const json_t *server)
{
	const char *health = ask_text(server, "health"), *address = ask_text(server, "address");
	char marked[64], state[64], weight[32], p50[16], p99[16], name[64], where[64];

	snprintf(marked, sizeof(marked), "%s%s", ask_text(server, "state"),
	         mark(server, "state_in_file"));
	snprintf(weight, sizeof(weight), "%.0f%s", value(server, "weight"),
	         mark(server, "weight_in_file"));
	printf("  %-17s%-16s%-12s%s%-8s%s%7s%5s%7s%7s%7s%6s%6s\n",
	       cut(ask_text(server, "name"), 16, name), cut_address(address, 15, where),
	       cut(marked, 11, state), colour(health), health, plain(),
	       table_duration(table_age(ask_text(server, "since"))), weight,
	       table_bytes(value(server, "connections")), a_second(server, "created_s"),
	       bits(server, "client_bytes_s", "server_bytes_s"),
	       milliseconds(server, "connect_p50_ms", p50),
	       milliseconds(server, "connect_p99_ms", p99));
}

static void show_snat(const json_t *farm)
{
	const json_t *fullest = json_object_get(farm, "snat_fullest"), *snat;
	const double of = value(fullest, "ports"), used = value(fullest, "ports_in_use");
	char port[16] = "";
	double in_use = 0;
	size_t i;

	if (!json_array_size(json_object_get(farm, "snat")))
		return;
	json_array_foreach(json_object_get(farm, "snat"), i, snat) in_use +=
	        value(snat, "ports_in_use");
	printf("  SNAT: %.0f port%s in use", in_use, in_use == 1 ? "" : "s");
	if (json_is_integer(json_object_get(fullest, "port")))
		snprintf(port, sizeof(port), ":%.0f", value(fullest, "port"));
	if (of > 0)
		printf(", fullest %s to %s%s: %.0f of %.0f (%.1f %%)", ask_text(fullest, "address"),
		       ask_text(fullest, "server"), port, used, of, 100 * used / of);
	printf("\n");
}

static void show_farm(const json_t *farm)
{
	size_t i;
	const json_t *server;

	printf("\nfarm %s  %s  ", ask_text(farm, "name"), ask_text(farm, "vip"));
	if (json_is_integer(json_object_get(farm, "vlan")))
		printf("vlan %.0f  ", value(farm, "vlan"));
	printf("%s%s  %.0f flow%s", json_is_true(json_object_get(farm, "up")) ? "up" : "DOWN",
	       json_is_true(json_object_get(farm, "removed")) ? "  (removed)" : "",
	       value(farm, "connections"), value(farm, "connections") == 1 ? "" : "s");
	if (json_object_get(farm, "bits_s"))
		printf(", %s new/s, %s bit/s", a_second(farm, "created_s"),
		       table_bytes(value(farm, "bits_s")));
	printf("\n");
	printf("  %-17s%-16s%-12s%-8s%7s%5s%7s%7s%7s%6s%6s\n", "SERVER", "ADDRESS", "STATE",
	       "HEALTH", "SINCE", "WGHT", "FLOWS", "NEW/s", "BIT/s", "P50ms", "P99ms");
	json_array_foreach(json_object_get(farm, "servers"), i, server) show_server_line(server);
	show_snat(farm);
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

		printf("%-22s%-8s%10s%10s%10s%8s\n", ask_text(filter, "name"),
		       ask_text(filter, "action"),
		       table_bytes(json_number_value(json_object_get(filter, "matched"))),
		       table_bytes(json_number_value(json_object_get(filter, "over"))),
		       table_bytes(json_number_value(json_object_get(filter, "dropped"))),
		       ever ? table_duration(table_age(ask_text(filter, "last"))) : "-");
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
	const json_int_t port = json_integer_value(json_object_get(server, "failed_port"));
	char what[256], at_port[32] = "";

	if (strcmp(ask_text(server, "health"), "down"))
		return n;
	if (port)
		snprintf(at_port, sizeof(at_port), "port %" PRIi64 ": ", (int64_t)port);
	snprintf(what, sizeof(what), "down for %s: %s%s",
	         table_duration(table_age(ask_text(server, "since"))), at_port,
	         ask_text(server, "failed_why"));
	return add_warning(n, ask_text(server, "name"), what);
}

static bool has_overrides(const json_t *status)
{
	const json_t *farm, *server;
	size_t f, s;

	json_array_foreach(json_object_get(status, "farms"), f, farm) json_array_foreach(
	        json_object_get(farm, "servers"), s,
	        server) if (json_object_get(server, "state_in_file") ||
	                    json_object_get(server, "weight_in_file")) return true;
	return false;
}

static void show_warnings(const json_t *status)
{
	const json_t *farm, *server;
	size_t f, s;
	unsigned n = 0;

	for (unsigned side = 0; side < 2; side++) {
		const json_t *port = at(status, "ports", sides[side]);

		if (json_object_get(port, "link") && strcmp(ask_text(port, "link"), "up"))
			n = add_warning(n, ask_text(port, "name"), ask_text(port, "link"));
	}
	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		if (!json_is_true(json_object_get(farm, "up")))
			n = add_warning(n, ask_text(farm, "name"), "no server takes connections");
		json_array_foreach(json_object_get(farm, "servers"), s, server) n =
		        warn_of_server(n, server);
	}
	if (json_is_true(json_object_get(status, "bypass")))
		add_warning(n, "wire", "bypass: nothing is balanced");
}

/* As CSV, which is for programs, the rows are the servers. */
int show_status(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status;
	const json_t *farm;
	size_t i;

	if (cli->format == TABLE_CSV)
		return show_servers(cli, ask);
	status = take(ask, &ret);
	if (!status)
		return ret;
	printf("tmbridge %s, up %s, %.0f worker%s\n\n", ask_text(status, "version"),
	       table_duration(json_number_value(json_object_get(status, "uptime_s"))),
	       number(status, "workers", "running"),
	       number(status, "workers", "running") > 1 ? "s" : "");
	show_ports(status);
	print_flows(status);
	print_refusals(status);
	json_array_foreach(json_object_get(status, "farms"), i, farm) show_farm(farm);
	show_filters(status);
	if (has_overrides(status))
		puts("\n* not as in the file: see tmbridge config diff");
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
        {"NEW/s", "created_s", COLUMN_BYTES, false},
        {"BIT/s", "bits_s", COLUMN_BYTES, false},
        {"HALF-OPEN", "half_open", COLUMN_NUMBER, true},
        {"TOTAL", "connections_total", COLUMN_NUMBER, true},
        {"FROM CLIENTS", "client_bytes", COLUMN_BYTES, true},
        {"TO CLIENTS", "server_bytes", COLUMN_BYTES, true},
        {"P50ms", "connect_p50_ms", COLUMN_NUMBER, true},
        {"P99ms", "connect_p99_ms", COLUMN_NUMBER, true},
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
        {"NEW/s", "created_s", COLUMN_BYTES, false},
        {"BIT/s", "bits_s", COLUMN_BYTES, false},
        {"VLAN", "vlan", COLUMN_NUMBER, true},
        {NULL, NULL, COLUMN_TEXT, false},
};

int show_servers(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status = take(ask, &ret), *farm, *server;
	struct table *table = table_new(server_columns, cli->format, cli->header, cli->sort);
	size_t f, s;

	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		json_array_foreach(json_object_get(farm, "servers"), s, server)
		{
			json_object_set(server, "failed", json_object_get(server, "probes_failed"));
			if (table)
				table_add(table, server);
		}
	}
	json_decref(status);
	if (!ret)
		return show_table(cli, table);
	table_free(table);
	return ret;
}

int show_farms(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *status = take(ask, &ret), *farm;
	struct table *table = table_new(farm_columns, cli->format, cli->header, cli->sort);
	size_t f;

	json_array_foreach(json_object_get(status, "farms"), f, farm)
	{
		if (table)
			table_add(table, farm);
	}
	json_decref(status);
	if (!ret)
		return show_table(cli, table);
	table_free(table);
	return ret;
}

/* ---- version ---- */

int show_version(const struct cli *cli, struct ask *ask)
{
	int ret;
	json_t *record = take(ask, &ret);

	(void)cli;
	if (record)
		printf("tmbridge %s, process %" PRIi64 ", %s\n", ask_text(record, "version"),
		       (int64_t)json_integer_value(json_object_get(record, "pid")),
		       ask_text(record, "config"));
	json_decref(record);
	return ret;
}
