/*
 * Running live: start, control, end.
 *
 * The main thread takes what concerns all workers, signals above all, and sleeps otherwise. It
 * reads and writes files while the workers go on, and lets them stand still only for what touches
 * their state.
 */
#include "live.h"

#include "cable/cable.h"
#include "fastpath/fastpath.h"
#include "process/log.h"
#include "worker/loop.h"
#include "port/packet.h"
#include "worker/preflight.h"
#include "process/sandbox.h"
#include "operator/stats.h"
#include "port/steer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often control looks at what has no event of its own. */
enum { LIVE_CONTROL_MS = 1000 };

struct live {
	const struct options *options;
	live_load *load;
	unsigned n; /* workers */
	struct cable *cable;
	struct fastpath *fastpath; /* or NULL */
	uint32_t max_connections;
	workers_ports *ports;
	struct workers workers;
	struct loop **loops; /* by worker */
	int signals;         /* signalfd */
	lb_time started;
	bool stop;
};

static void pause_workers(struct live *live)
{
	for (unsigned k = 0; k < live->n; k++)
		loop_pause(live->loops[k]);
	for (unsigned k = 0; k < live->n; k++)
		loop_wait_paused(live->loops[k]);
}

static void resume_workers(struct live *live)
{
	for (unsigned k = 0; k < live->n; k++)
		loop_resume(live->loops[k]);
}

static void note_link(struct live *live, enum side side)
{
	const struct cable_state *is = cable_state(live->cable, side);

	live->ports[0][side]->link = (struct port_link){
	        .state = is->held && is->state == LINK_DOWN ? "held" : link_state_name(is->state),
	        .mtu = is->link.mtu};
}

/* The workers must stand still, or have ended. */
static char *take_stats(struct live *live)
{
	note_link(live, OUTSIDE);
	note_link(live, INSIDE);
	for (unsigned k = 0; k < live->n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			packet_count_missed(live->ports[k][side]);
	return stats_text(&live->workers, (lb_time){loop_clock().ns - live->started.ns});
}

static void write_stats(struct live *live)
{
	char *text;

	if (!live->options->stats) {
		log_warning("SIGUSR1: no --stats FILE to write to");
		return;
	}
	pause_workers(live);
	text = take_stats(live);
	resume_workers(live);
	if (text)
		stats_write(text, live->options->stats);
	free(text);
}

/* Lets several workers share what arrives: again after a reload, or when ports were opened anew. */
static int steer(struct live *live, const struct rules *rules, const struct share *share)
{
	struct port *ports[RULES_WORKERS_MAX];
	int err = 0;

	for (unsigned side = 0; live->n > 1 && side < NSIDES && !err; side++) {
		for (unsigned k = 0; k < live->n; k++)
			ports[k] = live->ports[k][side];
		err = steer_ports(ports, live->n, rules, share);
	}
	return err;
}

/* Where the ports of a side receive, and where they send. */
static struct packet_where where_of(const struct live *live, enum side side)
{
	const struct link *link = &cable_state(live->cable, side)->link;
	bool punted = fastpath_is_active(live->fastpath);

	return (struct packet_where){.receive = punted ? fastpath_punt(live->fastpath, side) : link,
	                             .send = link};
}

/* Opens all ports of a side anew; the workers must stand still. */
static int reopen(struct live *live, enum side side)
{
	const struct packet_where where = where_of(live, side);
	int err = 0;

	for (unsigned k = 0; k < live->n && !err; k++)
		err = packet_reopen(live->ports[k][side], &where);
	return err;
}

/* Says what of the rules only a restart can change. */
static void warn_of_lasting(const struct live *live, const struct rules *rules)
{
	const char *file = live->options->config;
	const struct share *share = &live->workers.worker[0].share;

	if (rules->max_connections != live->max_connections)
		log_warning("%s: [bridge] max_connections: stays %u until a restart", file,
		            live->max_connections);
	if (workers_wanted(rules) != live->n)
		log_warning("%s: [bridge] workers: stays %u until a restart", file, live->n);
	if (live->n > 1 && !share->by_address && workers_keep_clients(rules))
		log_warning("%s: persist: until a restart each worker has clients of its own",
		            file);
}

/* Turns the fast path on or off, as rules want it, and as far as they fit it. */
static void follow_rules(struct live *live, const struct rules *rules)
{
	bool active = live->fastpath && rules->fast_path != FAST_PATH_OFF;

	if (active && fastpath_set_rules(live->fastpath, rules) < 0) {
		log_warning("the rules are too many for the fast path: packet sockets again");
		active = false;
	}
	if (!live->fastpath && rules->fast_path != FAST_PATH_OFF)
		log_warning("%s: [bridge] fast_path: stays off until a restart",
		            live->options->config);
	if (active == fastpath_is_active(live->fastpath))
		return;
	fastpath_activate(live->fastpath, active);
	for (unsigned side = 0; side < NSIDES; side++)
		if (reopen(live, (enum side)side) < 0)
			cable_retry(live->cable, (enum side)side, loop_clock());
	log_info("fast path %s", active ? "on" : "off");
}

static int move_workers(struct live *live, struct rules *rules, struct connlog *connlog)
{
	int err;

	pause_workers(live);
	err = workers_reload(&live->workers, rules, connlog, loop_clock());
	if (!err)
		follow_rules(live, rules);
	if (!err)
		steer(live, rules, &live->workers.worker[0].share); /* or hand over from now on */
	resume_workers(live);
	return err;
}

static const char *why_not_reloaded(int err)
{
	switch (err) {
	case -EACCES:
		return " (a log in another directory takes a restart)";
	case -E2BIG:
		return " (too many servers that aren't in the file any more still have flows)";
	case -ENOMEM:
		return " (not enough memory)";
	default:
		return "";
	}
}

static void reload(struct live *live)
{
	struct rules *rules = live->load(live->options);
	const char *file = live->options->config;
	struct connlog *connlog = NULL;
	int err;

	if (!rules)
		return;
	warn_of_lasting(live, rules);
	err = workers_open_log(&live->workers, rules, &connlog);
	if (!err)
		err = move_workers(live, rules, connlog);
	if (err < 0) {
		connlog_close(connlog);
		log_error("%s: not reloaded: nothing has changed%s", file, why_not_reloaded(err));
		rules_free(rules);
		return;
	}
	cable_mirror(live->cable, rules->link_mirror);
	log_info("%s: reloaded", file);
}

/* The workers must stand still. */
static void follow(struct live *live, enum side side, const struct cable_change *change,
                   lb_time now)
{
	const struct cable_state *is = cable_state(live->cable, side);
	int err = change->anew ? reopen(live, side) : 0;

	if (change->anew && !err && live->fastpath)
		err = fastpath_attach(live->fastpath, side, is);
	for (unsigned k = 0; k < live->n; k++)
		worker_set_mac(&live->workers.worker[k], side, &is->link.mac);
	if (change->anew && !err)
		err = steer(live, live->workers.rules, &live->workers.worker[0].share);
	if (!err)
		return;
	/* sockets that don't share yet would each get every frame */
	for (unsigned k = 0; live->n > 1 && k < live->n; k++)
		packet_mute(live->ports[k][side]);
	if (err != -ENODEV) /* else it's gone again, as will be said */
		log_error("%s: %s", live->options->names[side], strerror(-err));
	cable_retry(live->cable, side, now);
}

static void watch_cable(struct live *live)
{
	struct cable_change changes[NSIDES];
	lb_time now = loop_clock();
	bool any = cable_poll(live->cable, now, changes);

	for (unsigned side = 0; live->fastpath && side < NSIDES; side++)
		if (!changes[side].anew)
			fastpath_follow(live->fastpath, (enum side)side,
			                cable_state(live->cable, (enum side)side));
	if (!any)
		return;
	pause_workers(live);
	for (unsigned side = 0; side < NSIDES; side++)
		if (changes[side].anew || changes[side].mac)
			follow(live, (enum side)side, &changes[side], now);
	if (changes[OUTSIDE].announce || changes[INSIDE].announce)
		worker_announce(&live->workers.worker[0], now);
	resume_workers(live);
}

static void handle_signals(struct live *live)
{
	struct signalfd_siginfo info;

	while (read(live->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			write_stats(live);
		else if (info.ssi_signo == SIGHUP)
			reload(live);
		else
			live->stop = true;
	}
}

static void control(struct live *live)
{
	struct pollfd fds[] = {{.fd = live->signals, .events = POLLIN},
	                       {.fd = cable_fd(live->cable), .events = POLLIN}};

	while (!live->stop) {
		poll(fds, sizeof(fds) / sizeof(fds[0]), LIVE_CONTROL_MS);
		handle_signals(live);
		watch_cable(live);
	}
}

static int open_signals(struct live *live)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL); /* in the threads to come as well */
	signal(SIGPIPE, SIG_IGN);           /* whoever reads the log may go, the wire stays */
	live->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (live->signals >= 0)
		return 0;
	log_error("signalfd: %m");
	return -errno;
}

static int make_key(const struct options *options, struct hash_key *ret)
{
	*ret = options->key;
	if (options->has_key || getrandom(ret, sizeof(*ret), 0) == sizeof(*ret))
		return 0;
	log_error("random numbers for the hash key: %m");
	return -errno;
}

/* Puts the fast path, if there is one, before what the ports hear already. */
static int attach(struct live *live)
{
	int err = 0;

	for (unsigned side = 0; live->fastpath && side < NSIDES && !err; side++) {
		err = fastpath_attach(live->fastpath, (enum side)side,
		                      cable_state(live->cable, (enum side)side));
		if (err < 0)
			log_error("%s: attaching programs: %s", live->options->names[side],
			          strerror(-err));
	}
	return err;
}

static int open_port(struct live *live, enum side side, struct port **ret)
{
	const struct packet_where where = where_of(live, side);

	return packet_open(side, live->options->names[side], &where, ret);
}

/* The ports of each worker. */
static int open_ports(struct live *live, const struct rules *rules, const struct hash_key *key)
{
	const struct share share = workers_share(rules, 0, live->n, key);
	const char *const *names = live->options->names;
	int err = preflight_interfaces(names, rules->link_mirror);

	if (!err)
		err = cable_open(names, rules->link_mirror, loop_clock(), &live->cable);
	if (!err)
		err = fastpath_open(names, live->cable, rules, &live->fastpath);
	if (!err && live->fastpath)
		fastpath_activate(live->fastpath, true);
	for (unsigned k = 0; k < live->n; k++)
		for (unsigned side = 0; side < NSIDES && !err; side++)
			err = open_port(live, (enum side)side, &live->ports[k][side]);
	if (!err)
		err = steer(live, rules, &share);
	return err ? err : attach(live);
}

/* The rest of the start, after which the rules belong to the workers. */
static int start_loops(struct live *live)
{
	int err = 0;

	live->started = loop_clock(); /* taking the memory took a while */
	for (unsigned k = 0; k < live->n; k++)
		worker_start(&live->workers.worker[k], live->started);
	for (unsigned k = 0; k < live->n && !err; k++)
		err = loop_start(&live->workers.worker[k], live->workers.inboxes[k],
		                 &live->loops[k]);
	return err;
}

static int enter_sandbox(const struct live *live, const struct rules *rules)
{
	const struct options *options = live->options;
	int ports[NSIDES * RULES_WORKERS_MAX * PACKET_FDS];
	struct sandbox sandbox = {
	        .user = options->user,
	        .files = {.config = options->config, .stats = options->stats, .rules = rules},
	        .ports = ports,
	};

	for (unsigned k = 0; k < live->n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			sandbox.nports += packet_fds(live->ports[k][side], &ports[sandbox.nports]);
	return sandbox_enter(&sandbox);
}

/* Begins; on failure the rules remain the caller's. */
static int start(struct live *live, struct rules *rules)
{
	struct hash_key key;
	int err;

	live->n = workers_wanted(rules);
	live->max_connections = rules->max_connections;
	live->ports = calloc(live->n, sizeof(*live->ports));
	live->loops = calloc(live->n, sizeof(*live->loops));
	if (!live->ports || !live->loops)
		return -ENOMEM;
	if ((err = make_key(live->options, &key)) < 0 || (err = open_signals(live)) < 0 ||
	    (err = open_ports(live, rules, &key)) < 0 || (err = enter_sandbox(live, rules)) < 0 ||
	    (err = preflight_addresses(live->ports[0], rules)) < 0 ||
	    (err = workers_init(&live->workers, rules, &key, live->ports, live->n, true,
	                        loop_clock())) < 0)
		return err;
	workers_use(&live->workers, live->fastpath);
	return 0;
}

/* Together, so that nobody hands a frame to one who has stopped. */
static void stop_loops(struct live *live)
{
	pause_workers(live);
	for (unsigned k = 0; k < live->n; k++)
		while (worker_take_inbox(&live->workers.worker[k], loop_clock()))
			;
	for (unsigned k = 0; k < live->n; k++)
		loop_stop(live->loops[k]);
}

static int run(struct live *live)
{
	char *text;
	int err = start_loops(live);

	if (!err) {
		log_info("%s, %s: balancing", live->options->names[OUTSIDE],
		         live->options->names[INSIDE]);
		control(live);
	}
	stop_loops(live);
	workers_finish(&live->workers);
	text = !err && live->options->stats ? take_stats(live) : NULL;
	if (text)
		stats_write(text, live->options->stats);
	free(text);
	workers_free(&live->workers);
	return err;
}

static void close_all(struct live *live)
{
	for (unsigned k = 0; live->ports && k < live->n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			if (live->ports[k][side])
				packet_close(live->ports[k][side]);
	fastpath_close(live->fastpath);
	cable_close(live->cable);
	free(live->ports);
	free(live->loops);
	if (live->signals >= 0)
		close(live->signals);
}

int live_run(const struct options *options, struct rules *rules, live_load *load)
{
	struct live live = {.options = options, .load = load, .signals = -1};
	int err = start(&live, rules);

	if (err < 0)
		rules_free(rules);
	else
		err = run(&live);
	close_all(&live);
	return err;
}
