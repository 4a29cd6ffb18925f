/*
 * tmbridge: an inline layer-4 load balancer.
 *
 * Wires cfg/, lb/ and the ports together, and is the only place that decides the exit status.
 */
#include "client/cli.h"
#include "live.h"
#include "process/limits.h"
#include "process/log.h"
#include "process/names.h"
#include "process/signals.h"
#include "process/standard.h"
#include "offline.h"
#include "recall.h"
#include "worker/firewall.h"
#include "options.h"
#include "../cfg/cfg.h"
#include "cable/host.h"

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
 * caller's to free; host is as struct cfg_known has it. Returns NULL, with the reason and its
 * consequence logged, if they are bad.
 */
static struct rules *load(const struct options *options, struct cfg_text *text,
                          const struct rules_nets *host, const char *consequence)
{
	const struct cfg_known known = {.host = host, .expression = firewall_check};
	void *ctx = (void *)(uintptr_t)consequence;
	struct rules *rules = NULL;

	if (!text->bytes && cfg_read(options->config, note, ctx, text) < 0)
		return NULL;
	cfg_load_text(options->config, text, &known, note, ctx, &rules);
	return rules;
}

static struct rules *load_again(const struct options *options, struct cfg_text *text,
                                const struct rules_nets *host)
{
	return load(options, text, host, " (not reloaded: nothing has changed)");
}

/* As many interfaces as the mode has ports. */
static bool has_interfaces(const struct options *options, const struct rules *rules)
{
	const bool is_one = !options->names[NSIDES - 1];

	if (options->mode != MODE_LIVE || is_one == (rules->mode == MODE_ONE_ARMED))
		return true;
	log_error("command line: mode = %s takes %s (see tmbridge --help)",
	          rules_mode_words[rules->mode],
	          is_one ? "two interfaces, OUTSIDE and INSIDE" : "one interface");
	return false;
}

static struct rules *load_first(const struct options *options, struct cfg_text *text)
{
	struct rules_nets host = {.n = 0};
	struct rules *rules;

	if (options->mode == MODE_LIVE)
		host_ask(options->names, &host);
	else if (options->bundle && recall_host(options->bundle, &host) < 0)
		return NULL;
	rules = load(options, text, options->mode == MODE_LIVE || host.n ? &host : NULL, "");
	if (!rules || has_interfaces(options, rules))
		return rules;
	rules_free(rules);
	return NULL;
}

static int run_live(const struct options *options, struct rules *rules, struct cfg_text *text)
{
	int err = host_settle(options->names, rules);

	if (!err)
		return live_run(options, rules, text, load_again);
	log_error("the host's routes: %s", strerror(-err));
	rules_free(rules);
	return err;
}

static int run(const struct options *options, struct rules *rules, struct cfg_text *text)
{
	if (options->mode == MODE_LIVE)
		return run_live(options, rules, text);
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

	if (standard_keep() < 0)
		return EXIT_RUNTIME;
	if (cli_is_meant(argc, argv))
		return cli_run(argc, argv);
	signals_hold();
	if (options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	if (options.mode == MODE_DONE)
		return EXIT_SUCCESS;
	if (limits_check_stack() < 0)
		return EXIT_RUNTIME;
	if (options.mode != MODE_LIVE)
		signals_let_go();
	log_verbose(options.verbose);
	names_from_files();
	if (options.mode == MODE_RELEASE)
		return live_release(&options) < 0 ? EXIT_RUNTIME : EXIT_SUCCESS;
	rules = load_first(&options, &text);
	status = !rules                            ? EXIT_USAGE
	         : run(&options, rules, &text) < 0 ? EXIT_RUNTIME
	                                           : EXIT_SUCCESS;
	free(text.bytes);
	return status;
}
