/*
 * tmbridge: an inline layer-4 load balancer.
 *
 * Wires cfg/, lb/ and the ports together, and is the only place that decides the exit status.
 */
#include "client/cli.h"
#include "live.h"
#include "process/log.h"
#include "process/signals.h"
#include "offline.h"
#include "options.h"
#include "../cfg/cfg.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

static void note(void *ctx, bool is_error, const char *text)
{
	const char *consequence = ctx;

	if (is_error)
		log_error("%s%s", text, consequence);
	else
		log_warning("%s", text);
}

/* Returns NULL, with the reason and its consequence logged, if the file is bad. */
static struct rules *load(const struct options *options, const char *consequence)
{
	struct rules *rules = NULL;

	return cfg_load(options->config, note, (void *)(uintptr_t)consequence, &rules) < 0 ? NULL
	                                                                                   : rules;
}

static struct rules *load_again(const struct options *options)
{
	return load(options, " (not reloaded: nothing has changed)");
}

static int run(const struct options *options, struct rules *rules)
{
	if (options->mode == MODE_LIVE)
		return live_run(options, rules, load_again);
	if (options->mode == MODE_OFFLINE)
		return offline_run(options, rules);
	rules_free(rules);
	puts("ok");
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct rules *rules;

	if (cli_is_meant(argc, argv))
		return cli_run(argc, argv);
	signals_hold();
	if (options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	if (options.mode == MODE_DONE)
		return EXIT_SUCCESS;
	if (options.mode != MODE_LIVE)
		signals_let_go();
	log_verbose(options.verbose);
	if (options.mode == MODE_RELEASE)
		return live_release(&options) < 0 ? EXIT_RUNTIME : EXIT_SUCCESS;
	rules = load(&options, "");
	if (!rules)
		return EXIT_USAGE;
	return run(&options, rules) < 0 ? EXIT_RUNTIME : EXIT_SUCCESS;
}
