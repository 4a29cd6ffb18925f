/*
 * tmbridge-console: a running tmbridge in a browser.
 *
 * A program and user of its own, at the end of the status socket: what speaks HTTP isn't in the
 * process that has the wire.
 */
#include "feed.h"
#include "options.h"
#include "pages.h"
#include "server.h"
#include "../process/log.h"
#include "../process/manager.h"
#include "../process/standard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

/* Threads that are started inherit that. */
static void hold_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigprocmask(SIG_BLOCK, ret, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void say_where(const struct options *options)
{
	const char *scheme = options->certificate ? "https" : "http";
	const bool v6 = options->address[0] && strchr(options->address, ':');
	char where[128];

	snprintf(where, sizeof(where), "%s://%s%s%s:%u/", scheme, v6 ? "[" : "", options->address,
	         v6 ? "]" : "", options->port);
	log_info("console: %s", where);
	manager_ready(where);
}

/* Until a signal ends it. */
static void tend(struct server *server, const sigset_t *signals)
{
	const struct timespec second = {.tv_sec = 1};

	while (sigtimedwait(signals, NULL, &second) < 0)
		server_tend(server);
}

static int run(const struct options *options)
{
	struct feed *feed;
	struct server *server;
	sigset_t signals;

	hold_signals(&signals);
	pages_open();
	feed = feed_start(options->instance);
	server = feed ? server_start(options, feed) : NULL;
	if (server) {
		say_where(options);
		tend(server, &signals);
		manager_stopping();
	}
	if (feed)
		feed_stop(feed);
	if (server)
		server_stop(server);
	if (feed)
		feed_free(feed);
	return server ? EXIT_SUCCESS : EXIT_RUNTIME;
}

int main(int argc, char **argv)
{
	struct options options;

	if (standard_keep() < 0)
		return EXIT_RUNTIME;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (options_parse(argc, argv, &options) < 0)
		return EXIT_USAGE;
	if (options.done)
		return EXIT_SUCCESS;
	log_open();
	manager_open();
	return run(&options);
}
