/*
 * Running live: control and end; start.c is the start, follow.c what the cable asks for.
 *
 * The main thread takes what concerns all workers, signals above all, and sleeps otherwise. It
 * reads and writes files while the workers go on, and lets them stand still only for what touches
 * their state.
 */
#include "live.h"

#include "addresses.h"
#include "cable/host.h"
#include "fastpath/former.h"
#include "follow.h"
#include "instance.h"
#include "operator/stats.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/manager.h"
#include "remains.h"
#include "start.h"
#include "worker/duties.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often control looks at what has no event of its own; and in how many such looks a worker must
 * have been found still for that to be said. */
enum { LIVE_CONTROL_MS = 1000, LIVE_STILL = 5 };

/* How long statistics are tried for, if a worker doesn't come to them. */
enum { LIVE_STATS_S = 5 };

/* How often SNAT addresses that are no longer in the file are looked at; and when again if they
 * can't be given up. */
enum { LET_GO_S = 1, LET_GO_AGAIN_S = 60 };

/* When the host is followed again, if that couldn't be. */
enum { HOST_AGAIN_S = 10 };

static const char reloaded[] = "reloaded";

static void note_link(struct live *live, enum side side)
{
	const struct cable_state *is = cable_state(live->cable, side);

	live->crew.ports[0][side]->link = (struct port_link){
	        .state = is->held && is->state == LINK_DOWN ? "held" : link_state_name(is->state),
	        .mtu = is->link.mtu};
}

/* Sets *ret to the statistics as text, for the caller to free. Returns 0 or a negative errno. */
static int take_stats(struct live *live, char **ret)
{
	struct snapshot snapshot;
	int err;

	*ret = NULL;
	err = snapshot_take(&snapshot, &live->crew, live->started);
	if (err)
		return err;
	snapshot_look_at_snat(&snapshot, &live->crew.workers);
	*ret = stats_text(&snapshot);
	snapshot_free(&snapshot);
	return *ret ? 0 : -ENOMEM;
}

static void say_no_stats(int err)
{
	log_error("statistics: %s", err == -ETIMEDOUT ? "a worker doesn't move" : strerror(-err));
}

static void ask_for_stats(struct live *live)
{
	if (live->options->stats)
		live->stats_until.ns = clock_now().ns + LIVE_STATS_S * LB_NS_PER_S;
	else
		log_warning("SIGUSR1: no --stats FILE to write to");
}

/* Writes the statistics, if they have been asked for. A worker that doesn't come to it, as others
 * have the processor, is asked again in the next turns. */
static void write_stats(struct live *live)
{
	char *text;
	int err;

	if (!live->stats_until.ns)
		return;
	err = take_stats(live, &text);
	if (err == -ETIMEDOUT && clock_now().ns < live->stats_until.ns)
		return;
	live->stats_until.ns = 0;
	if (err)
		say_no_stats(err);
	else if (!writer_put(live->writer, text))
		log_warning("%s: statistics: left out, as those before are still being written",
		            live->options->stats);
}

static void say_ready(const struct live *live, const char *more)
{
	char status[OPTIONS_INTERFACES_BYTES + 80];

	snprintf(status, sizeof(status), "%s: balancing%s", live->options->interfaces, more);
	manager_ready(status);
}

static int reload(struct live *live, bool from_file, const char *how)
{
	struct reload reload = {.options = live->options,
	                        .load = live->load,
	                        .text = live->text,
	                        .from_file = from_file,
	                        .how = how,
	                        .overrides = &live->overrides,
	                        .crew = &live->crew,
	                        .check = follow_check_new,
	                        .built = follow_built,
	                        .swapped = follow_rules,
	                        .loaded = follow_loaded,
	                        .taken_over = follow_taken_over,
	                        .ctx = live,
	                        .max_connections = live->max_connections,
	                        .max_half_open = live->max_half_open};
	int indices[NSIDES], err;

	cable_indices(live->cable, indices);
	host_nets(cable_socket(live->cable), indices, &reload.host);
	manager_reloading(clock_now());
	err = reload_run(&reload);
	if (!err)
		cable_mirror(live->cable, live->crew.workers.rules->link_mirror &&
		                                  !rules_has_stack(live->crew.workers.rules));
	say_ready(live, err ? ", by the rules before: the last reload failed" : "");
	return err;
}

/* What operators ask for at the sockets. */
static int reload_as_asked(void *ctx, bool from_file)
{
	return reload(ctx, from_file, from_file ? reloaded : "changed by an operator");
}

/* Has the rules follow the host, whose addresses and routes they are about as well. */
static void fit_host(struct live *live)
{
	if (!follow_host(live))
		return;
	log_info("the host's addresses or routes have changed");
	if (reload(live, false, "follows them"))
		live->host_look.ns = clock_now().ns + HOST_AGAIN_S * LB_NS_PER_S;
}

/* Gives up SNAT addresses that were taken out of the file and that no flow has any more, by a
 * reload: others may use them then. */
static void let_go(struct live *live)
{
	const lb_time now = clock_now();

	if (now.ns < live->kept_look.ns)
		return;
	live->kept_look.ns = now.ns + LET_GO_S * LB_NS_PER_S;
	if (!workers_keep_in_vain(&live->crew.workers))
		return;
	log_info("SNAT addresses that are no longer in the file have no flows any more");
	if (reload(live, false, "without them"))
		live->kept_look.ns = now.ns + LET_GO_AGAIN_S * LB_NS_PER_S;
}

static void handle_signals(struct live *live)
{
	struct signalfd_siginfo info;

	while (read(live->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			ask_for_stats(live);
		else if (info.ssi_signo == SIGHUP)
			reload(live, true, reloaded);
		else
			live->stop = true;
	}
}

static void look_at_ports(struct live *live)
{
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			packet_look(live->crew.ports[k][side], clock_now());
}

/* Counts the looks in which a worker hadn't moved, and says so when they are too many: who has no
 * service manager hears of it by that alone. */
static void note_still(struct live *live, int worker, lb_time now)
{
	if (now.ns - live->still_look.ns < LIVE_CONTROL_MS * LB_NS_PER_MS)
		return;
	live->still_look = now;
	if (++live->still == LIVE_STILL)
		log_error("worker %d hasn't moved for %d s: what it has to do isn't done", worker,
		          LIVE_STILL);
}

/* Feeds the service manager's watchdog, if every worker has moved since; that this is called shows
 * that control moves as well. */
static void watch(struct live *live)
{
	const lb_time now = clock_now();
	const int still = crew_still(&live->crew);

	if (still >= 0) {
		note_still(live, still, now);
		return;
	}
	if (live->still >= LIVE_STILL)
		log_warning("all workers move again");
	live->still = 0;
	manager_feed(now);
}

/* Sleeps until a descriptor is readable, or something is due. */
static void wait_for_events(const struct live *live)
{
	enum { OWN = 2 + NSIDES };
	struct pollfd fds[OWN + DESK_FDS] = {{.fd = live->signals, .events = POLLIN},
	                                     {.fd = cable_fd(live->cable), .events = POLLIN}};
	const unsigned n = OWN + desk_poll(live->desk, fds + OWN);
	const int ms = desk_wait_ms(live->desk);

	addresses_poll(live, fds + 2);
	poll(fds, n, ms < LIVE_CONTROL_MS ? ms : LIVE_CONTROL_MS);
}

static void control(struct live *live)
{
	while (!live->stop) {
		for (unsigned side = 0; side < NSIDES; side++)
			note_link(live, (enum side)side);
		wait_for_events(live);
		handle_signals(live);
		write_stats(live);
		follow_cable(live);
		desk_serve(live->desk, clock_now());
		addresses_look(live);
		fit_host(live);
		workers_note_flows(&live->crew.workers);
		let_go(live);
		remains_look(live);
		look_at_ports(live);
		watch(live);
	}
}

/* The rest of the start, after which the rules belong to the workers. */
static int start_loops(struct live *live)
{
	int err = 0;

	if (live->options->stats)
		err = writer_open(live->options->stats, &live->writer);
	live->world = (struct world){.crew = &live->crew,
	                             .names = live->options->names,
	                             .config = live->options->config,
	                             .overrides = &live->overrides,
	                             .text = live->text,
	                             .reload = reload_as_asked,
	                             .ctx = live,
	                             .priority = live->priority};
	live->desk = desk_new(&live->world, &live->sockets);
	if (!live->desk)
		return -ENOMEM;
	addresses_hold(live, live->held);
	live->started = clock_now(); /* taking the memory took a while */
	live->world.started = live->started;
	follow_carriers(live, NULL, live->started);
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			worker_set_mtu(&live->crew.workers.worker[k], (enum side)side,
			               cable_state(live->cable, (enum side)side)->link.mtu);
	for (unsigned k = 0; k < live->crew.n; k++)
		duties_start(&live->crew.workers.worker[k], live->started);
	return err ? err : crew_start(&live->crew);
}

/* If the wire and open flows go on at the end, in the kernel. */
static bool goes_on(const struct live *live)
{
	return fastpath_is_active(live->fastpath) && live->keep;
}

static int run(struct live *live)
{
	char *text = NULL;
	int failed, err = start_loops(live);

	if (!err && live->unchecked)
		err = addresses_check_rest(live);
	if (!err) {
		log_info("%s: balancing", live->options->interfaces);
		say_ready(live, "");
		control(live);
		manager_stopping();
	}
	desk_free(live->desk);
	if (crew_stop(&live->crew) < 0) {
		log_error("a worker doesn't move: it is left where it is");
		live->is_stuck = true;
		return -ETIMEDOUT;
	}
	workers_finish(&live->crew.workers, goes_on(live), clock_now());
	if (!err && live->options->stats && (failed = take_stats(live, &text)) < 0)
		say_no_stats(failed);
	if (live->writer)
		writer_close(live->writer, text);
	workers_free(&live->crew.workers);
	return err;
}

/* Leaves the programs in the kernel, or takes them off, as on_exit says. A start that has failed
 * leaves what it found. (A worker that couldn't be ended may fall over its maps that go, but that
 * is the last that is done to them.) */
static void close_wire(struct live *live, bool failed)
{
	const bool found = fastpath_was_left(live->fastpath);

	if (goes_on(live) && (!failed || found || live->is_stuck)) {
		log_info("%s: the wire and open flows go on in the kernel",
		         live->options->interfaces);
		fastpath_leave(live->fastpath);
		guard_leave(live->guard);
		cable_leave(live->cable);
	} else {
		guard_close(live->guard);
		fastpath_close(live->fastpath);
		cable_close(live->cable);
	}
}

static void close_all(struct live *live, bool failed)
{
	if (!live->is_stuck)
		crew_free(&live->crew);
	vacancy_close(live->vacancy);
	sockets_close(&live->sockets);
	close_wire(live, failed);
	if (live->signals >= 0)
		close(live->signals);
}

int live_run(const struct options *options, struct rules *rules, struct cfg_text *text,
             reload_load *load)
{
	struct live live = {.options = options,
	                    .load = load,
	                    .text = text,
	                    .signals = -1,
	                    .sockets = {.fds = {-1, -1}}};
	int err;

	log_open();
	manager_open();
	err = start_live(&live, rules);
	if (err < 0)
		rules_free(rules);
	else
		err = run(&live);
	close_all(&live, err < 0);
	manager_close();
	return err;
}

/* If what was left is of a mode in which the interfaces are the host's as well. */
static bool was_beside_host(const char *const names[NSIDES])
{
	struct heritage heritage;
	bool ret;

	fastpath_find(names, &heritage);
	ret = heritage.any && heritage.conf.mode != MODE_TRANSPARENT;
	heritage_close(&heritage);
	return ret;
}

static bool release_guards(struct cable *cable)
{
	bool any = false;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *link = &cable_state(cable, (enum side)side)->link;

		any |= link->index && guard_release(cable_socket(cable), link);
	}
	return any;
}

static int open_released(const char *const names[NSIDES], bool is_hosts, struct cable **ret)
{
	const struct cable_wish wish = {.is_hosts = is_hosts, .may_be_gone = true};

	return cable_open(names, &wish, clock_now(), ret);
}

/* Removes what a process left in a mode beside the host's stack, with a fast path or without. */
static int release_beside_host(const char *const names[NSIDES])
{
	struct cable *cable = NULL;
	int err = open_released(names, true, &cable);
	bool any;

	if (err < 0)
		return err; /* such as a tmbridge that still runs on them */
	err = former_find(names, cable);
	if (!err)
		err = former_may_release(names, cable);
	if (err < 0) {
		cable_close(cable);
		return err;
	}
	any = release_guards(cable);
	any |= cable_release_routing(cable, names) == 0;
	cable_close(cable);
	return any ? 0 : -ENOENT;
}

static int release_fastpath(const char *const names[NSIDES])
{
	struct cable *cable = NULL;
	int err = open_released(names, !names[INSIDE] || was_beside_host(names), &cable);

	if (err < 0)
		return err;
	err = fastpath_release(names, cable);
	cable_close(cable);
	return err;
}

int live_release(const struct options *options)
{
	const int beside = release_beside_host(options->names);
	int err = beside < 0 && beside != -ENOENT ? beside : release_fastpath(options->names);

	if (err == -ENOENT && !beside)
		err = 0;
	if (err == -ENOENT)
		log_error("%s: nothing was left in the kernel", options->interfaces);
	else if (beside == -ENODEV)
		log_error("%s: nothing is known to have been left of these", options->interfaces);
	else if (err < 0 && err != beside)
		log_error("%s: releasing the wire: %s", options->interfaces, strerror(-err));
	return err;
}
