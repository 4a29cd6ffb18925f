/*
 * flows, who: connections that are, and were.
 *
 * Of those that have ended, long ago or just now, the connection logs tell, which the running
 * process names and this one reads, as far as it may: also those that were rotated away, NAME.1,
 * NAME-20261128 and so on, compressed or not.
 */
#include "show.h"

#include "../operator/filter.h"
#include "../process/clock.h"
#include "../process/log.h"
#include "../process/text.h"

#include <arpa/inet.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <zlib.h>

static const struct column flow_columns[] = {
        {"CLIENT", "client", COLUMN_TEXT, false},
        {"VIP", "vip", COLUMN_TEXT, false},
        {"SNAT", "snat", COLUMN_TEXT, false},
        {"SERVER", "server_name", COLUMN_TEXT, false},
        {"STATE", "state", COLUMN_TEXT, false},
        {"AGE", "age_ms", COLUMN_MS, false},
        {"IDLE", "idle_ms", COLUMN_MS, false},
        {"C BYTES", "client_bytes", COLUMN_BYTES, false},
        {"S BYTES", "server_bytes", COLUMN_BYTES, false},
        {"AT", "server", COLUMN_TEXT, true},
        {"FARM", "farm", COLUMN_TEXT, true},
        {"SIDE", "side", COLUMN_TEXT, true},
        {"C PACKETS", "client_packets", COLUMN_NUMBER, true},
        {"S PACKETS", "server_packets", COLUMN_NUMBER, true},
        {NULL, NULL, COLUMN_TEXT, false},
};

static const struct column who_columns[] = {
        {"CLIENT", "client", COLUMN_TEXT, false},
        {"VIP", "vip", COLUMN_TEXT, false},
        {"SNAT", "snat", COLUMN_TEXT, false},
        {"SERVER", "server_name", COLUMN_TEXT, false},
        {"STATE", "state", COLUMN_TEXT, false},
        {"FROM", "start", COLUMN_AGE, false},
        {"TO", "end", COLUMN_AGE, false},
        {"AT", "server", COLUMN_TEXT, true},
        {"FARM", "farm", COLUMN_TEXT, true},
        {"C BYTES", "client_bytes", COLUMN_BYTES, true},
        {"S BYTES", "server_bytes", COLUMN_BYTES, true},
        {NULL, NULL, COLUMN_TEXT, false},
};

int show_flows(const struct cli *cli, struct ask *ask)
{
	return show_list(cli, ask, flow_columns);
}

const char *flows_order(const char *by)
{
	for (const struct column *column = flow_columns; column->title; column++)
		if (!strcasecmp(by, column->title) || !strcmp(by, column->member))
			return column->kind == COLUMN_TEXT ? NULL : column->member;
	return NULL;
}

static void say_resets(unsigned n)
{
	printf("%u flow%s reset\n", n, n == 1 ? "" : "s");
}

/* What has no text is a flow that was reset. */
int show_done(const struct cli *cli, struct ask *ask)
{
	unsigned resets = 0;
	json_t *record;
	int status;

	(void)cli;
	while ((record = ask_next(ask, &status))) {
		const char *text = json_string_value(json_object_get(record, "text"));

		resets += !!json_object_get(record, "client");
		if (text)
			printf("%s\n", text);
		fflush(stdout); /* the next one may come much later */
		json_decref(record);
	}
	if (resets)
		say_resets(resets);
	return status;
}

int show_resets(const struct cli *cli, struct ask *ask)
{
	json_t *record;
	unsigned n = 0;
	int status;

	(void)cli;
	while ((record = ask_next(ask, &status))) {
		n++;
		json_decref(record);
	}
	if (!status)
		say_resets(n);
	return status;
}

/* ---- who ---- */

enum { WHO_WORDS = 8 }; /* more is wrong anyway */

struct search {
	const char *text; /* what was typed, and what it is */
	struct filter_term place;
	bool is_place;
	char part[INET6_ADDRSTRLEN]; /* of each line that is meant; or empty */
	const char *server;          /* NULL: any */
	char at[32];                 /* a time in UTC as logs have it, or empty */
	json_t *found;
};

/* As RFC 3339 has it, to a second or a minute, so that it compares as text; what is typed may have
 * a blank for the T. */
static bool set_time(struct search *search, const char *text)
{
	struct tm tm = {0};
	const char *seconds = NULL, *rest = strptime(text, "%Y-%m-%d", &tm);

	if (rest && (*rest == 'T' || *rest == ' '))
		rest = strptime(rest + 1, "%H:%M", &tm);
	else
		rest = NULL;
	if (rest && *rest == ':')
		rest = seconds = strptime(rest + 1, "%S", &tm);
	if (seconds && *seconds == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (!rest || (*rest && strcmp(rest, "Z") != 0)) {
		log_error("%s: not a time in UTC like 2026-11-28T21:30:00", text);
		return false;
	}
	strftime(search->at, sizeof(search->at), seconds ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%dT%H:%M",
	         &tm);
	return true;
}

/* What was typed, and as much of it as each line of a log that is meant has in it. What is neither
 * address nor port is left to who is asked, and in no log. */
static void set_place(struct search *search, const char *text)
{
	const uint8_t *address = (const uint8_t *)&search->place.address;

	search->text = text;
	search->is_place = filter_place(text, &search->place);
	if (search->place.prefix != 8 * sizeof(struct ip6))
		return;
	if (ip6_is_mapped(&search->place.address))
		inet_ntop(AF_INET, address + sizeof(struct ip6) - sizeof(be32), search->part,
		          sizeof(search->part));
	else
		inet_ntop(AF_INET6, address, search->part, sizeof(search->part));
}

static bool is_there(const struct search *search, const char *endpoint)
{
	struct filter_term at = {.prefix = 0};

	return search->is_place && filter_place(endpoint, &at) &&
	       filter_is_place(&search->place, &at.address, at.port);
}

static bool is_meant(const struct search *search, const json_t *record)
{
	static const char *const members[] = {"client", "vip", "snat", "server"};
	const char *name = json_string_value(json_object_get(record, "server_name"));
	const char *start = json_string_value(json_object_get(record, "start"));
	const char *end = json_string_value(json_object_get(record, "end"));
	bool is = false;

	for (unsigned i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *value = json_string_value(json_object_get(record, members[i]));

		is |= value && is_there(search, value);
	}
	if (search->server && (!name || strcmp(name, search->server)))
		return false;
	if (*search->at && start && strncmp(start, search->at, strlen(search->at)) > 0)
		return false;
	if (*search->at && end && strncmp(end, search->at, strlen(search->at)) < 0)
		return false;
	return is;
}

/* If a flow of now had begun by then. One that has ended is in the log, with its times. */
static bool had_begun(const struct search *search, const json_t *flow)
{
	const char *state = json_string_value(json_object_get(flow, "state"));
	const double age_s = json_number_value(json_object_get(flow, "age_ms")) / 1000;
	struct tm tm = {.tm_sec = 59}; /* unless the time says which */

	if (!state || !strcmp(state, "reset") || !strcmp(state, "resting"))
		return false;
	strptime(search->at, "%Y-%m-%dT%H:%M:%S", &tm);
	return (double)clock_wall() / LB_NS_PER_S - age_s < (double)timegm(&tm) + 1;
}

static void search_file(struct search *search, const char *path)
{
	gzFile file = gzopen(path, "r"); /* reads what isn't compressed as it is */
	char line[8192];

	while (file && gzgets(file, line, sizeof(line))) {
		json_t *record = strstr(line, search->part) ? json_loads(line, 0, NULL) : NULL;

		if (record && is_meant(search, record)) {
			json_object_set(record, "state", json_object_get(record, "why"));
			json_array_append(search->found, record);
		}
		json_decref(record);
	}
	if (file)
		gzclose(file);
	else
		log_warning("%s: %m", path);
}

/* The log and what was rotated away. */
static void search_logs(struct search *search, const char *path)
{
	char pattern[4096];
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%s*", path);
	if (glob(pattern, 0, NULL, &files) != 0)
		return;
	for (size_t i = files.gl_pathc; i > 0; i--) /* older ones are named later */
		search_file(search, files.gl_pathv[i - 1]);
	globfree(&files);
}

/* Takes "--OPTION VALUE" or "--OPTION=VALUE" out of the words; NULL: it isn't there. */
static const char *take_word(const char **words, unsigned *n, const char *option)
{
	const size_t len = strlen(option);

	for (unsigned i = 0; i < *n; i++) {
		const char *rest = words[i] + len, *value = i + 1 < *n ? words[i + 1] : NULL;
		unsigned taken = 2;

		if (strncmp(words[i], option, len) != 0)
			continue;
		if (*rest == '=') {
			value = rest + 1;
			taken = 1;
		}
		if (!value || (*rest && taken == 2))
			continue;
		memmove(words + i, words + i + taken, (*n - i - taken) * sizeof(*words));
		*n -= taken;
		return value;
	}
	return NULL;
}

static const char *member(const json_t *record, const char *name)
{
	const char *value = json_string_value(json_object_get(record, name));

	return value ? value : "";
}

/* A flow has its age; who has ended is in a log with the time when he began. */
static void set_start(json_t *flow)
{
	const double age_s = json_number_value(json_object_get(flow, "age_ms")) / 1000;
	const lb_time start = {clock_wall() - (uint64_t)(age_s * LB_NS_PER_S)};
	char text[TEXT_TIME_BYTES];

	json_object_set_new(flow, "start", json_string(text_time(start, 0, text)));
}

/* If a log has said of this one, which rests, that it has ended. */
static bool is_logged(const struct search *search, const json_t *flow)
{
	static const char *const members[] = {"client", "vip", "snat", "server"};
	const json_t *record;
	size_t i;

	if (strcmp(member(flow, "state"), "resting"))
		return false;
	json_array_foreach(search->found, i, record)
	{
		bool same = *member(record, "end");

		for (unsigned m = 0; same && m < sizeof(members) / sizeof(members[0]); m++)
			same = !strcmp(member(record, members[m]), member(flow, members[m]));
		if (same &&
		    table_age(member(record, "start")) - table_age(member(flow, "start")) < 1)
			return true;
	}
	return false;
}

static void add_flow(struct search *search, json_t *flow)
{
	set_start(flow);
	if ((!*search->at || had_begun(search, flow)) && !is_logged(search, flow))
		json_array_append(search->found, flow);
}

static int search_all(const struct cli *cli, struct ask *ask, struct search *search)
{
	struct table *table;
	json_t *record;
	size_t i;
	int status;

	while ((record = ask_next(ask, &status))) {
		const char *log = json_string_value(json_object_get(record, "connlog"));

		if (log)
			search_logs(search, log);
		else
			add_flow(search, record);
		json_decref(record);
	}
	if (status)
		return status;
	if (!json_array_size(search->found)) {
		log_error("%s: nobody, as far as is known", search->text);
		return ASK_NO_OBJECT;
	}
	table = table_new(who_columns, cli->format, cli->header, cli->sort);
	if (table)
		json_array_foreach(search->found, i, record) table_add(table, record);
	return show_table(cli, table);
}

int show_who(const struct cli *cli, const char *line)
{
	char request[CLI_LINE_BYTES + 32];
	const char *words[WHO_WORDS], *at;
	struct search search = {0};
	struct ask *ask = NULL;
	unsigned n = 0;
	int status;

	(void)line;
	for (; n < cli->nwords && n < WHO_WORDS; n++)
		words[n] = cli->words[n];
	search.server = take_word(words, &n, "--server");
	at = take_word(words, &n, "--at");
	if (n != 2) {
		log_error(
		        "who ADDRESS:PORT|ADDRESS|ADDRESS/BITS|:PORT [--server NAME] [--at TIME]");
		return ASK_USAGE;
	}
	if (at && !set_time(&search, at))
		return ASK_USAGE;
	set_place(&search, words[1]);
	snprintf(request, sizeof(request), "who %s%s%s", words[1],
	         search.server ? " --server " : "", search.server ? search.server : "");
	search.found = json_array();
	status = ask_open(cli->instance, false, &ask);
	if (!status)
		status = ask_send(ask, request) ? search_all(cli, ask, &search) : ASK_FAILED;
	ask_close(ask);
	json_decref(search.found);
	return status;
}
