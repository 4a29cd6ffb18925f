/*
 * The words go to the running one as they are typed, but for the options that say how to show the
 * answer.
 */
#include "cli.h"
#include "show.h"

#include "../process/clock.h"
#include "../process/log.h"
#include "../process/priority.h"
#include "../process/quantity.h"
#include "../../cfg/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A verb: how its answer is shown, and what is asked for it if not the verb itself. */
static const struct command {
	const char *name, *second;
	bool control; /* it changes something */
	cli_show *show;
	const char *asks;
	cli_asks *run;                       /* or it asks itself */
	bool rows;                           /* each record is a row */
	enum { NO_LIST, LINES, TABLE } list; /* what --limit cuts, and of a table --sort sorts */
} commands[] = {
        {"capture", NULL, true, NULL, NULL, run_capture, false, NO_LIST},
        {"config", "check", false, NULL, NULL, check_config, false, NO_LIST},
        {"config", "diff", false, show_overrides, NULL, NULL, true, TABLE},
        {"config", "show", false, show_done, NULL, NULL, false, NO_LIST},
        {"events", NULL, false, show_events, NULL, NULL, false, LINES},
        {"farm", "drain", true, show_done, NULL, NULL, false, NO_LIST},
        {"farm", "enable", true, show_done, NULL, NULL, false, NO_LIST},
        {"farm", "list", false, show_farms, "status", NULL, false, TABLE},
        {"flow", "reset", true, show_resets, NULL, NULL, false, NO_LIST},
        {"flows", NULL, false, show_flows, NULL, NULL, true, TABLE},
        {"metrics", NULL, false, show_metrics, NULL, NULL, false, NO_LIST},
        {"reload", NULL, true, show_done, NULL, NULL, false, NO_LIST},
        {"server", "disable", true, show_done, NULL, NULL, false, NO_LIST},
        {"server", "drain", true, show_done, NULL, NULL, false, NO_LIST},
        {"server", "enable", true, show_done, NULL, NULL, false, NO_LIST},
        {"server", "health", true, show_done, NULL, NULL, false, NO_LIST},
        {"server", "list", false, show_servers, "status", NULL, false, TABLE},
        {"server", "weight", true, show_done, NULL, NULL, false, NO_LIST},
        {"status", NULL, false, show_status, NULL, NULL, false, NO_LIST},
        {"top", NULL, false, NULL, NULL, show_top, false, TABLE},
        {"version", NULL, false, show_version, NULL, NULL, false, NO_LIST},
        {"who", NULL, false, NULL, NULL, show_who, false, TABLE},
        {"wire", "bypass", true, show_done, NULL, NULL, false, NO_LIST},
        {"wire", "on", true, show_done, NULL, NULL, false, NO_LIST},
};

enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]) };

/* If argv[i] is the option that names lb.ini, as on the command line of tmbridge itself. (`events
 * -f` is another one, and has no file.) */
static bool is_file(int argc, char **argv, int i)
{
	return !strncmp(argv[i], "--config", 8) ||
	       (!strcmp(argv[i], "-f") && i + 1 < argc && argv[i + 1][0] != '-');
}

bool cli_wants_help(int argc, char **argv)
{
	return argc > 1 && (!strcmp(argv[argc - 1], "--help") || !strcmp(argv[argc - 1], "-h"));
}

bool cli_is_meant(int argc, char **argv)
{
	bool known = false;

	int word = 1;

	while (word + 2 < argc && (!strcmp(argv[word], "-i") || !strcmp(argv[word], "-o")))
		word += 2;
	for (unsigned i = 0; word < argc && i < NCOMMANDS; i++)
		known |= !strcmp(argv[word], commands[i].name);
	/* with a file it is no verb, but an interface that is called like one */
	for (int i = 1; i < argc; i++)
		known &= !is_file(argc, argv, i);
	return known && !cli_wants_help(argc, argv) &&
	       !(argc > 2 && !strcmp(argv[1], "wire") && !strcmp(argv[2], "release"));
}

const char *cli_nearest(const char *word)
{
	struct nearest nearest = {.word = word};

	for (unsigned i = 0; i < NCOMMANDS; i++)
		nearest_offer(&nearest, commands[i].name);
	return nearest_best(&nearest);
}

/* ---- Options ---- */

static int parse_format(const char *word, enum table_format *ret)
{
	static const char *const names[] = {[TABLE_TEXT] = "text",
	                                    [TABLE_WIDE] = "wide",
	                                    [TABLE_JSON] = "json",
	                                    [TABLE_CSV] = "csv"};
	struct nearest nearest = {.word = word};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		nearest_offer(&nearest, names[i]);
		if (strcmp(word, names[i]))
			continue;
		*ret = (enum table_format)i;
		return 0;
	}
	return show_complain("not a format: text, wide, json or csv", word, nearest_best(&nearest));
}

/* The value of an option that is argv[*i], which may be in the next word; NULL: it is another. */
static const char *value_of(const char *option, int argc, char **argv, int *i)
{
	const size_t len = strlen(option);

	if (strncmp(argv[*i], option, len))
		return NULL;
	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	if (argv[*i][len] == 0 && *i + 1 < argc)
		return argv[++*i];
	if (len == 2 && argv[*i][len]) /* -ojson */
		return argv[*i] + len;
	return NULL;
}

static int parse_quantity(enum quantity quantity, const char *word, uint64_t *ret)
{
	char why[QUANTITY_WHY_BYTES];

	if (quantity_parse(quantity, word, ret, why))
		return 0;
	log_error("%s", why);
	return ASK_USAGE;
}

static int parse_limit(const char *word, unsigned *ret)
{
	uint64_t n;

	if (parse_quantity(QUANTITY_LIMIT, word, &n))
		return ASK_USAGE;
	*ret = (unsigned)n;
	return 0;
}

/* If it is one of those with a value, which isn't there. */
static bool lacks_value(const char *word)
{
	static const char *const options[] = {"-i", "-o", "--sort", "--limit"};
	bool is = false;

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		is |= !strcmp(word, options[i]);
	return is;
}

/* Takes argv[*i] if it says how to show. Returns 1 if so, 0 if it is for others, or -1 if it is
 * wrong. */
static int take_option(struct cli *cli, int argc, char **argv, int *i)
{
	const char *value;

	if ((value = value_of("-i", argc, argv, i)))
		cli->instance = value;
	else if ((value = value_of("-o", argc, argv, i)))
		return parse_format(value, &cli->format) ? -1 : 1;
	else if ((value = value_of("--sort", argc, argv, i)))
		cli->sort = value;
	else if ((value = value_of("--limit", argc, argv, i)))
		return parse_limit(value, &cli->limit) ? -1 : 1;
	else if (!strcmp(argv[*i], "--watch"))
		cli->watch_ms = CLI_WATCH_MS;
	else if (!strncmp(argv[*i], "--watch=", 8))
		return parse_quantity(QUANTITY_WATCH, argv[*i] + 8, &cli->watch_ms) ? -1 : 1;
	else if (!strcmp(argv[*i], "--no-header"))
		cli->header = false;
	else if (!strcmp(argv[*i], "--once"))
		cli->once = true;
	else if (lacks_value(argv[*i]))
		return show_complain("takes a value", argv[*i], NULL) ? -1 : 0;
	else
		return 0;
	return 1;
}

static bool add_word(char *line, const char *word)
{
	const size_t len = strlen(line);

	if (len + strlen(word) + 2 > CLI_LINE_BYTES)
		return false;
	sprintf(line + len, "%s%s", len ? " " : "", word);
	return true;
}

/* What is left of argv begins with the words of the request. */
static int parse(struct cli *cli, int argc, char **argv)
{
	*cli = (struct cli){.header = true, .limit = TABLE_ALL, .words = argv};
	for (int i = 1; i < argc; i++) {
		const int taken = take_option(cli, argc, argv, &i);

		if (taken < 0)
			return ASK_USAGE;
		if (!taken && !add_word(cli->line, argv[i]))
			return show_complain("too long", "the request", NULL);
		if (!taken)
			argv[cli->nwords++] = argv[i];
	}
	return 0;
}

/* ---- Doing it ---- */

static bool begins_with(const char *line, const char *word, const char **ret_rest)
{
	const size_t len = strlen(word);

	if (strncmp(line, word, len) || (line[len] && line[len] != ' '))
		return false;
	*ret_rest = line + len + (line[len] == ' ');
	return true;
}

static const struct command *find(const char *line)
{
	const char *rest, *behind;

	for (unsigned i = 0; i < NCOMMANDS; i++)
		if (begins_with(line, commands[i].name, &rest) &&
		    (!commands[i].second || begins_with(rest, commands[i].second, &behind)))
			return &commands[i];
	return NULL;
}

/* The first word alone says too little. */
static int complain_of_half(const char *first)
{
	char all[256] = "";

	for (unsigned i = 0; i < NCOMMANDS; i++)
		if (!strcmp(first, commands[i].name))
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			         *all ? ", " : "", commands[i].second);
	log_error("%s: what? %s", first, all);
	return ASK_USAGE;
}

/* The first word is a verb, or cli_is_meant() would have said no. */
static int refuse(const char *line)
{
	char words[CLI_LINE_BYTES], *second, *behind;
	struct nearest nearest = {.word = ""};
	const char *rest;

	snprintf(words, sizeof(words), "%s", line);
	second = strchr(words, ' ');
	if (second && (behind = strchr(second + 1, ' ')))
		*behind = 0;
	if (!second)
		return complain_of_half(words);
	nearest.word = second + 1;
	for (unsigned i = 0; i < NCOMMANDS; i++)
		if (commands[i].second && begins_with(line, commands[i].name, &rest))
			nearest_offer(&nearest, commands[i].second);
	return show_complain("no such verb", words, nearest_best(&nearest));
}

/* The lines as they came, each a JSON object. */
static int show_json(struct ask *ask)
{
	json_t *record;
	int status = 0;

	while (!ferror(stdout) && (record = ask_next(ask, &status))) {
		json_decref(record);
		puts(ask_line(ask));
		fflush(stdout);
	}
	return status;
}

/* A list that was taken out of another answer, sorted or cut, isn't shown as it came. */
static bool is_as_it_came(const struct cli *cli, const struct command *command)
{
	return cli->format == TABLE_JSON && !command->asks &&
	       !(command->rows && (cli->sort || cli->limit != TABLE_ALL));
}

static int once(const struct cli *cli, const struct command *command)
{
	struct ask *ask = NULL;
	int status;

	if (command->run)
		return command->run(cli, cli->line);
	status = ask_open(cli->instance, command->control, &ask);
	if (status)
		return status;
	if (command->show == show_flows && cli->limit == TABLE_ALL)
		priority_give_up(); /* they may be a million, and the processors are the wire's */
	if (!ask_send(ask, command->asks ? command->asks : cli->line))
		status = ASK_FAILED;
	else if (is_as_it_came(cli, command))
		status = show_json(ask);
	else
		status = command->show(cli, ask);
	ask_close(ask);
	return status;
}

/* What is shown must get where it is shown: a script that keeps it must not take half of it for
 * all. */
static int show(const struct cli *cli, const struct command *command)
{
	const int status = once(cli, command);

	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("writing: %m");
	return status ? status : ASK_FAILED;
}

static int watch(struct cli *cli, const struct command *command)
{
	const struct timespec pause = {.tv_sec = (time_t)(cli->watch_ms / 1000),
	                               .tv_nsec = (long)(cli->watch_ms % 1000 * LB_NS_PER_MS)};
	int status = 0;

	while (!status) {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		status = show(cli, command);
		cli->header &= cli->format != TABLE_CSV; /* once is enough for a program */
		nanosleep(&pause, NULL);
	}
	return status;
}

/* Has the running process cut the list, and sort it before if it can: it has all events, of which
 * the last ones are wanted, and all flows, which may be a million. False if the request gets too
 * long. */
static bool ask_for_less(struct cli *cli, const struct command *command)
{
	const char *by = cli->sort ? flows_order(cli->sort) : NULL;
	const bool sorts = by && cli->limit <= QUANTITY_SORTED_MAX;
	char words[128];

	if (cli->limit == TABLE_ALL ||
	    (command->show != show_events && command->show != show_flows) ||
	    (command->show == show_flows && cli->sort && !sorts))
		return true;
	snprintf(words, sizeof(words), "--limit %u", cli->limit);
	if (command->show == show_flows && sorts)
		snprintf(words, sizeof(words), "--sort %s --limit %u", by, cli->limit);
	return add_word(cli->line, words);
}

/* Whoever says how many takes the rest for left alone: what isn't a list isn't cut, or sorted.
 * Returns the exit status. */
static int check_list(const struct cli *cli, const struct command *command)
{
	const bool servers = command->show == show_status && cli->format == TABLE_CSV;
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s", command->name, command->second ? " " : "",
	         command->second ? command->second : "");
	if (cli->limit != TABLE_ALL && !servers && command->list == NO_LIST)
		return show_complain("--limit is for lists, which this has none of", name, NULL);
	if (cli->sort && !servers && command->list != TABLE)
		return show_complain("--sort is for tables, which this has none of", name, NULL);
	return 0;
}

int cli_run(int argc, char **argv)
{
	struct cli cli;
	const struct command *command;
	int status = parse(&cli, argc, argv);

	if (status)
		return status;
	command = find(cli.line);
	if (!command)
		return refuse(cli.line);
	if (command->asks && strlen(cli.line) > strlen(command->name) + strlen(command->second) + 1)
		return show_complain("unexpected", strrchr(cli.line, ' ') + 1, NULL);
	status = check_list(&cli, command);
	if (status)
		return status;
	if (!ask_for_less(&cli, command))
		return show_complain("too long", "the request", NULL);
	return cli.watch_ms ? watch(&cli, command) : show(&cli, command);
}
