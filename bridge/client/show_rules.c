/*
 * config check, config diff: the rules as they are, and as they would be.
 */
#include "show.h"

#include "../process/log.h"
#include "../process/names.h"
#include "../worker/firewall.h"
#include "../../cfg/cfg.h"

#include <stdio.h>
#include <string.h>

static const struct column override_columns[] = {
        {"SERVER", "server", COLUMN_TEXT, false}, {"KEY", "key", COLUMN_TEXT, false},
        {"VALUE", "value", COLUMN_TEXT, false},   {"FILE", "file", COLUMN_TEXT, false},
        {"BY UID", "uid", COLUMN_NUMBER, false},  {"SINCE", "at", COLUMN_AGE, false},
        {NULL, NULL, COLUMN_TEXT, false},
};

int show_overrides(const struct cli *cli, struct ask *ask)
{
	return show_list(cli, ask, override_columns);
}

static void note(void *ctx, bool is_error, const char *text)
{
	(void)ctx;
	if (is_error)
		log_error("%s", text);
	else
		log_warning("%s", text);
}

/* Of the file that is named, or of the running one's. */
static int check(const char *path)
{
	static const struct cfg_known known = {.expression = firewall_check};
	struct rules *rules = NULL;

	names_from_files();
	if (cfg_load(path, &known, note, NULL, &rules) < 0)
		return ASK_USAGE;
	rules_free(rules);
	printf("%s: ok\n", path);
	return 0;
}

int check_config(const struct cli *cli, const char *line)
{
	const char *path = line + strlen("config check");
	struct ask *ask = NULL;
	json_t *record;
	int status;

	if (*path)
		return check(path + 1);
	status = ask_open(cli->instance, false, &ask);
	if (status)
		return status;
	record = ask_send(ask, "version") ? ask_next(ask, &status) : NULL;
	path = json_string_value(json_object_get(record, "config"));
	status = path ? check(path) : ASK_FAILED;
	json_decref(record);
	ask_close(ask);
	return status;
}
