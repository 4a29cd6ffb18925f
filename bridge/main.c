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

/*
 * Makes rules of text, or if that has no bytes of the file, whose text it becomes then, the
 * caller's to free. Returns NULL, with the reason and its consequence logged, if they are bad.
 */
static struct rules *load(const struct options *options, struct cfg_text *text,
                          const char *consequence)
{
	void *ctx = (void *)(uintptr_t)consequence;
	struct rules *rules = NULL;

	if (!text->bytes && cfg_read(options->config, note, ctx, text) < 0)
		return NULL;
	return cfg_load_text(options->config, text, note, ctx, &rules) < 0 ? NULL : rules;
}

static struct rules *load_again(const struct options *options, struct cfg_text *text)
{
	return load(options, text, " (not reloaded: nothing has changed)");
}

static int run(const struct options *options, struct rules *rules, struct cfg_text *text)
{
	if (options->mode == MODE_LIVE)
		return live_run(options, rules, text, load_again);
	if (options->mode == MODE_OFFLINE)
		return offline_run(options, rules);
	rules_free(rules);
	puts("ok");
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct cfg_text text = {0};
	struct rules *rules;
	int status;

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
	rules = load(&options, &text, "");
	status = !rules                            ? EXIT_USAGE
	         : run(&options, rules, &text) < 0 ? EXIT_RUNTIME
	                                           : EXIT_SUCCESS;
	free(text.bytes);
	return status;
}
