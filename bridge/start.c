/*
 * The start, up to workers that could run: ports, programs in the kernel, the sandbox, the check of
 * our addresses, the workers' memory.
 */
#include "start.h"

#include "addresses.h"
#include "fastpath/former.h"
#include "follow.h"
#include "port/packet.h"
#include "process/clock.h"
#include "process/limits.h"
#include "process/log.h"
#include "process/rush.h"
#include "process/sandbox.h"
#include "process/signals.h"
#include "remains.h"
#include "worker/preflight.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static int make_key(const struct options *options, struct hash_key *ret)
{
	*ret = options->key;
	if (options->has_key || getrandom(ret, sizeof(*ret), 0) == sizeof(*ret))
		return 0;
	log_error("random numbers for the hash key: %m");
	return -errno;
}

/* Attaches the fast path and the guard, if there are any, to both ports, and pins the fast path's
 * maps. */
static int attach(struct live *live)
{
	int err = 0;

	for (unsigned side = 0; live->fastpath && side < NSIDES && !err; side++) {
		follow_note_left(live, (enum side)side);
		if (!live->options->names[side])
			continue;
		err = fastpath_attach(live->fastpath, (enum side)side,
		                      cable_state(live->cable, (enum side)side));
		if (err < 0)
			log_error("%s: attaching programs: %s", live->options->names[side],
			          strerror(-err));
	}
	for (unsigned side = 0; live->guard && side < NSIDES && !err; side++)
		if (live->options->names[side])
			err = follow_guard(live, (enum side)side);
	if (live->fastpath && !err && (err = fastpath_pin(live->fastpath)) < 0)
		log_error("fast path: pinning maps: %s", strerror(-err));
	return err;
}

/* Logs which settings must wait for a start without flows, as flows that were left go on in a table
 * that was made by other ones. */
static void log_kept(const struct live *live, const struct rules *rules, bool by_address,
                     const struct fastpath_conf *conf)
{
	const char *file = live->options->config;
	static const char until[] = "until a start that finds no open connection";

	if (rules->max_connections != conf->max_connections)
		log_warning("%s: [bridge] max_connections: stays %u %s", file,
		            conf->max_connections, until);
	if (rules->max_half_open != conf->max_half_open)
		log_warning("%s: [bridge] max_half_open: stays as it was %s", file, until);
	if (workers_wanted(rules) != conf->share.n)
		log_warning("%s: [bridge] workers: stays %u %s", file, conf->share.n, until);
	if (conf->share.n > 1 && by_address && !conf->share.by_address)
		log_warning("%s: persist and limits for clients: each worker has clients of its "
		            "own %s",
		            file, until);
}

/*
 * What there is to go on with. If flows do, the table's size, its key and the number of workers are
 * what they were; else heritage is given up if the rules have others. Returns 0 or -ENOMEM.
 */
static int inherit(struct live *live, struct rules *rules, struct hash_key *key,
                   struct heritage *heritage)
{
	const bool by_address = workers_keep_clients(rules);
	const struct fastpath_conf *conf = &heritage->conf;

	fastpath_find(live->options->names, heritage);
	if (heritage->other_layout)
		log_warning("connections of an earlier process can't go on: its table has another "
		            "layout");
	if (!heritage_fits(heritage, rules, workers_wanted(rules), by_address,
	                   live->options->has_key ? key : NULL) &&
	    !heritage->live)
		heritage_close(heritage);
	if (heritage->any && !heritage_is_mode(heritage, rules)) {
		log_warning("connections of an earlier process can't go on: it had another mode");
		heritage_close(heritage);
	}
	if (!heritage->any)
		return 0;
	log_kept(live, rules, by_address, conf);
	rules->max_connections = conf->max_connections;
	rules->max_half_open = conf->max_half_open;
	*key = heritage->key;
	live->share = conf->share;
	return heritage_name(heritage, rules);
}

static int open_fastpath(struct live *live, const struct rules *rules,
                         const struct heritage *heritage)
{
	struct share shares[RULES_WORKERS_MAX];

	for (unsigned k = 0; k < live->share.n; k++) {
		shares[k] = live->share;
		shares[k].worker = (uint16_t)k;
	}
	return fastpath_open(live->options->names, live->cable, rules, shares, live->share.n,
	                     heritage->any ? heritage : NULL,
	                     rules_has_stack(rules) ? live->guard : NULL, &live->fastpath);
}

static int open_named(struct live *live, enum side side, struct port **ret)
{
	const struct packet_where where = follow_where(live, side);

	return packet_open(side, live->options->names[side], &where, live->crew.n, ret);
}

/* Opens the guard. A cable does without, if it must: then one that another process has left is
 * removed. */
static int open_guard(struct live *live, const struct rules *rules)
{
	const int err = guard_open(rules, &live->guard);

	if (!err || rules_has_stack(rules))
		return err;
	for (unsigned side = 0; side < NSIDES; side++)
		guard_release(cable_socket(live->cable),
		              &cable_state(live->cable, (enum side)side)->link);
	return 0;
}

static int open_port(struct live *live, enum side side, struct port **ret)
{
	if (!live->options->names[side])
		return packet_open_none(side, ret);
	return open_named(live, side, ret);
}

/* The ports of each worker. */
static int open_ports(struct live *live, const struct rules *rules, const struct heritage *heritage)
{
	int err = vacancy_open(live->options->names, &live->vacancy);

	if (!err)
		err = crew_init(&live->crew, live->share.n);
	if (!err && (err = open_guard(live, rules)) == 0)
		err = open_fastpath(live, rules, heritage);
	live->is_refused = !err && !live->fastpath && fastpath_is_wanted(rules);
	if (!err)
		remains_adopt(live, rules);
	if (!err && live->fastpath)
		fastpath_activate(live->fastpath,
		                  follow_filters(live, rules, fastpath_is_wanted(rules)));
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES && !err; side++)
			err = open_port(live, (enum side)side, &live->crew.ports[k][side]);
	if (!err) {
		crew_load_bouncers(&live->crew, rules);
		err = crew_share_out(&live->crew, rules, &live->share);
	}
	return err ? err : attach(live);
}

/* The interfaces, and what happens on them. */
static int take_wire(struct live *live, struct rules *rules, struct hash_key *key)
{
	const char *const *names = live->options->names;
	struct heritage heritage;
	const bool stack = rules_has_stack(rules);
	const struct cable_wish wish = {.mirror = rules->link_mirror && !stack,
	                                .is_hosts = stack,
	                                .routed = rules->mode == MODE_ROUTED,
	                                .routing = rules->routing};
	int err = preflight_interfaces(names, rules->link_mirror, !stack);

	if (!err)
		err = cable_open(names, &wish, clock_now(), &live->cable);
	if (err < 0)
		return err;
	if ((err = former_find(names, live->cable)) < 0)
		return err;
	live->share = workers_share(rules, 0, workers_wanted(rules), key);
	err = inherit(live, rules, key, &heritage);
	live->max_connections = rules->max_connections;
	live->max_half_open = rules->max_half_open;
	if (!err)
		err = open_ports(live, rules, &heritage);
	heritage_close(&heritage);
	return err;
}

/* Has the workers go before others in bursts, if they may and it is wanted now. That is for packet
 * sockets only. Returns if it takes a capability. */
static bool allow_rushes(struct live *live, const struct rules *rules)
{
	const bool wanted = rules->rush && !live->fastpath;
	struct rush_leave leave;
	const int err = rush_allow(&leave);

	if (wanted && err < 0)
		log_info("no worker can go before other processes in a burst: %s (it takes "
		         "RLIMIT_RTPRIO, CAP_SYS_RESOURCE or CAP_SYS_NICE)",
		         strerror(-err));
	else if (wanted && !leave.threads)
		log_debug("no worker goes before other processes in a burst: there is one "
		          "processor, Linux is older than 6.5, or tmbridge is scheduled otherwise");
	live->crew.rushers = wanted || !leave.takes_nice ? leave.threads : 0;
	return wanted && leave.takes_nice && leave.threads;
}

static int enter_sandbox(struct live *live, const struct rules *rules)
{
	const struct options *options = live->options;
	int ports[NSIDES + NSIDES * RULES_WORKERS_MAX * PACKET_FDS];
	struct sandbox sandbox = {
	        .user = options->user,
	        .files = {.config = options->config, .stats = options->stats, .rules = rules},
	        .ports = ports,
	        .nports = NSIDES,
	        .programs = live->fastpath,
	        .nice = allow_rushes(live, rules),
	        .listeners = live->sockets.fds,
	        .nlisteners = SOCKET_KINDS,
	};

	vacancy_fds(live->vacancy, ports);
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			sandbox.nports +=
			        packet_fds(live->crew.ports[k][side], &ports[sandbox.nports]);
	return sandbox_enter(&sandbox);
}

/* Checks our addresses. On sides without a carrier that is done when they get one. */
static int check_at_start(struct live *live, const struct rules *rules)
{
	const unsigned all = way_ports(rules), asked = addresses_with_carrier(live, all);
	unsigned sides = asked;
	int err;

	/* what is in use already stays so, and the wire goes on in the kernel meanwhile */
	if (fastpath_inherits(live->fastpath))
		err = addresses_check(live, &sides, rules);
	else
		err = addresses_check_first(live, &sides, rules, &live->unchecked);
	live->held = addresses_unchecked(live, rules) | (asked & ~sides);
	addresses_wait(live, live->held);
	if (live->unchecked)
		live->held = all;
	return err;
}

int start_live(struct live *live, struct rules *rules)
{
	struct hash_key key;
	int err;

	live->keep = rules->on_exit == ON_EXIT_KEEP;
	limits_raise();
	priority_open(&live->priority);
	if ((err = make_key(live->options, &key)) < 0 ||
	    (err = live->signals = signals_open()) < 0 || (err = take_wire(live, rules, &key)) < 0)
		return err;
	sockets_open(&live->sockets, live->options->names);
	if ((err = enter_sandbox(live, rules)) < 0 || (err = check_at_start(live, rules)) < 0 ||
	    (err = workers_init(&live->crew.workers, rules, &key, live->crew.ports, &live->share,
	                        live->fastpath, true, clock_now())) < 0)
		return err;
	crew_use_bouncers(&live->crew);
	if (fastpath_inherits(live->fastpath) && fastpath_begun(live->fastpath, rules) < 0)
		follow_rules(live, rules); /* without one, then */
	return 0;
}
