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
#include "operator/stats.h"
#include "operator/writer.h"
#include "port/packet.h"
#include "process/limits.h"
#include "process/log.h"
#include "process/sandbox.h"
#include "process/signals.h"
#include "worker/vacancy.h"
#include "worker/crew.h"
#include "worker/preflight.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How often control looks at what has no event of its own. */
enum { LIVE_CONTROL_MS = 1000 };

/* How often addresses that somebody had are checked again. */
enum { LIVE_RETRY_S = 10 };

struct live {
	const struct options *options;
	reload_load *load;
	struct cable *cable;
	struct fastpath *fastpath; /* or NULL */
	bool keep;                 /* what it does goes on at the end */
	struct crew crew;
	struct writer *writer; /* of the statistics, or NULL: there are none */
	struct vacancy *vacancy;
	unsigned held;      /* sides (1 << side) on which no address has been checked yet */
	lb_time retry_held; /* not to be checked again before */
	uint32_t max_connections, max_half_open;
	int signals; /* signals_open() */
	lb_time started;
	bool stop;
};

static void note_link(struct live *live, enum side side)
{
	const struct cable_state *is = cable_state(live->cable, side);

	live->crew.ports[0][side]->link = (struct port_link){
	        .state = is->held && is->state == LINK_DOWN ? "held" : link_state_name(is->state),
	        .mtu = is->link.mtu};
}

/* The workers must stand still, or have ended. */
static char *take_stats(struct live *live)
{
	for (unsigned side = 0; side < NSIDES; side++)
		note_link(live, (enum side)side);
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			packet_count_missed(live->crew.ports[k][side]);
	return stats_text(&live->crew.workers, (lb_time){loop_clock().ns - live->started.ns});
}

static void write_stats(struct live *live)
{
	char *text;

	if (!live->options->stats) {
		log_warning("SIGUSR1: no --stats FILE to write to");
		return;
	}
	crew_pause(&live->crew);
	text = take_stats(live);
	crew_resume(&live->crew);
	if (text && !writer_put(live->writer, text))
		log_warning("%s: statistics: left out, as those before are still being written",
		            live->options->stats);
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

	for (unsigned k = 0; k < live->crew.n && !err; k++)
		err = packet_reopen(live->crew.ports[k][side], &where);
	return err;
}

/* Turns the fast path on or off, as rules want it, and as far as they fit it. */
static void follow_rules(void *ctx, const struct rules *rules)
{
	struct live *live = ctx;
	bool active = live->fastpath && rules->fast_path != FAST_PATH_OFF;

	if (live->fastpath && live->held)
		fastpath_hold(live->fastpath, true);
	live->keep = rules->on_exit == ON_EXIT_KEEP;
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

/* The workers must stand still. */
static void follow(struct live *live, enum side side, const struct cable_change *change,
                   lb_time now)
{
	const struct cable_state *is = cable_state(live->cable, side);
	int err = change->anew ? reopen(live, side) : 0;

	if (change->anew && !err && live->fastpath)
		err = fastpath_attach(live->fastpath, side, is);
	for (unsigned k = 0; k < live->crew.n; k++) {
		if (change->mtu && !change->anew)
			packet_set_mtu(live->crew.ports[k][side],
			               &is->link); /* or long frames are lost */
		worker_set_mac(&live->crew.workers.worker[k], side, &is->link.mac);
	}
	if (change->anew && !err)
		err = crew_steer(&live->crew, live->crew.workers.rules,
		                 &live->crew.workers.worker[0].share);
	if (!err)
		return;
	/* sockets that don't share yet would each get every frame */
	for (unsigned k = 0; live->crew.n > 1 && k < live->crew.n; k++)
		packet_mute(live->crew.ports[k][side]);
	if (err != -ENODEV) /* else it's gone again, as will be said */
		log_error("%s: %s", live->options->names[side], strerror(-err));
	cable_retry(live->cable, side, now);
}

static void note_left(struct live *live, enum side side)
{
	const struct settings_left left = cable_left(live->cable, side);

	fastpath_note_left(live->fastpath, side, &left);
}

/* Those of sides that have a carrier. */
static unsigned with_carrier(const struct live *live, unsigned sides)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (cable_state(live->cable, (enum side)side)->state != LINK_UP)
			sides &= ~(1u << side);
	return sides;
}

static int check_on(struct live *live, unsigned sides, const struct rules *rules,
                    const struct rules *before)
{
	const struct link *links[NSIDES] = {NULL, NULL};

	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			links[side] = &cable_state(live->cable, (enum side)side)->link;
	return sides ? vacancy_check(live->vacancy, links, rules, before) : 0;
}

static int check_new(void *ctx, const struct rules *rules, const struct rules *before)
{
	struct live *live = ctx;

	return check_on(live, with_carrier(live, ANNOUNCER_BOTH), rules, before);
}

/* Uses our addresses nowhere on these sides. The workers must stand still. */
static void hold(struct live *live, unsigned sides)
{
	live->held = sides;
	for (unsigned k = 0; k < live->crew.n; k++)
		worker_hold(&live->crew.workers.worker[k], sides);
	if (live->fastpath)
		fastpath_hold(live->fastpath, sides);
}

static void release(struct live *live, unsigned sides, lb_time now)
{
	crew_pause(&live->crew);
	hold(live, live->held & ~sides);
	worker_announce(&live->crew.workers.worker[0], sides, now);
	crew_resume(&live->crew);
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_info("%s: our addresses are checked, and in use",
			         live->options->names[side]);
}

/*
 * On sides whose link has come up: what is in use already stays so whatever is found, which is
 * logged. What isn't is from now on, unless somebody has it.
 */
static void check_addresses(struct live *live, unsigned sides)
{
	lb_time now = loop_clock();
	int err;

	sides = with_carrier(live, sides);
	if (!sides)
		return;
	err = check_on(live, sides, live->crew.workers.rules, NULL);
	live->retry_held.ns = now.ns + LIVE_RETRY_S * LB_NS_PER_S;
	if (!err && live->held & sides)
		release(live, live->held & sides, loop_clock());
	else if (live->held & sides)
		log_error("our addresses are not used there: checked again every %d s",
		          LIVE_RETRY_S);
}

static void check_held(struct live *live)
{
	if (live->held && loop_clock().ns >= live->retry_held.ns)
		check_addresses(live, live->held);
}

/* changes is NULL at the start. The first worker has all probes. */
static void note_carriers(struct live *live, const struct cable_change *changes, lb_time now)
{
	struct carrier *carrier = &live->crew.workers.worker[0].carrier;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct cable_state *is = cable_state(live->cable, (enum side)side);

		if (changes && (changes[side].anew || changes[side].announce))
			carrier_note(carrier, (enum side)side, false, now);
		carrier_note(carrier, (enum side)side, is->state == LINK_UP, now);
	}
}

static void watch_cable(struct live *live)
{
	struct cable_change changes[NSIDES];
	lb_time now = loop_clock();
	bool any = cable_poll(live->cable, now, changes);
	const unsigned announced = (unsigned)changes[OUTSIDE].announce << OUTSIDE |
	                           (unsigned)changes[INSIDE].announce << INSIDE;

	note_carriers(live, changes, now);
	for (unsigned side = 0; live->fastpath && side < NSIDES; side++)
		note_left(live, (enum side)side);
	for (unsigned side = 0; live->fastpath && side < NSIDES; side++)
		if (!changes[side].anew)
			fastpath_follow(live->fastpath, (enum side)side,
			                cable_state(live->cable, (enum side)side));
	if (!any)
		return;
	crew_pause(&live->crew);
	for (unsigned side = 0; side < NSIDES; side++)
		if (changes[side].anew || changes[side].mac || changes[side].mtu)
			follow(live, (enum side)side, &changes[side], now);
	worker_announce(&live->crew.workers.worker[0], announced & ~live->held, now);
	crew_resume(&live->crew);
	check_addresses(live, announced);
}

static void reload(struct live *live)
{
	const struct reload reload = {.options = live->options,
	                              .load = live->load,
	                              .crew = &live->crew,
	                              .check = check_new,
	                              .swapped = follow_rules,
	                              .ctx = live,
	                              .max_connections = live->max_connections,
	                              .max_half_open = live->max_half_open};

	if (reload_run(&reload) == 0)
		cable_mirror(live->cable, live->crew.workers.rules->link_mirror);
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

static void look_at_ports(struct live *live)
{
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			packet_look(live->crew.ports[k][side], loop_clock());
}

static void control(struct live *live)
{
	struct pollfd fds[] = {{.fd = live->signals, .events = POLLIN},
	                       {.fd = cable_fd(live->cable), .events = POLLIN}};

	while (!live->stop) {
		poll(fds, sizeof(fds) / sizeof(fds[0]), LIVE_CONTROL_MS);
		handle_signals(live);
		watch_cable(live);
		check_held(live);
		workers_note_flows(&live->crew.workers);
		look_at_ports(live);
	}
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
		note_left(live, (enum side)side);
		err = fastpath_attach(live->fastpath, (enum side)side,
		                      cable_state(live->cable, (enum side)side));
		if (err < 0)
			log_error("%s: attaching programs: %s", live->options->names[side],
			          strerror(-err));
	}
	if (live->fastpath && !err && (err = fastpath_pin(live->fastpath)) < 0)
		log_error("fast path: pinning maps: %s", strerror(-err));
	return err;
}

static int open_fastpath(struct live *live, const struct rules *rules, const struct hash_key *key)
{
	struct share shares[RULES_WORKERS_MAX];

	for (unsigned k = 0; k < live->crew.n; k++)
		shares[k] = workers_share(rules, k, live->crew.n, key);
	return fastpath_open(live->options->names, live->cable, rules, shares, live->crew.n,
	                     &live->fastpath);
}

static int open_port(struct live *live, enum side side, struct port **ret)
{
	const struct packet_where where = where_of(live, side);

	return packet_open(side, live->options->names[side], &where, live->crew.n, ret);
}

/* The ports of each worker. */
static int open_ports(struct live *live, const struct rules *rules, const struct hash_key *key)
{
	const struct share share = workers_share(rules, 0, live->crew.n, key);
	const char *const *names = live->options->names;
	int err = preflight_interfaces(names, rules->link_mirror);

	if (!err)
		err = cable_open(names, rules->link_mirror, loop_clock(), &live->cable);
	if (!err)
		err = vacancy_open(names, &live->vacancy);
	if (!err)
		err = open_fastpath(live, rules, key);
	if (!err && live->fastpath)
		fastpath_activate(live->fastpath, true);
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES && !err; side++)
			err = open_port(live, (enum side)side, &live->crew.ports[k][side]);
	if (!err)
		err = crew_steer(&live->crew, rules, &share);
	return err ? err : attach(live);
}

/* The rest of the start, after which the rules belong to the workers. */
static int start_loops(struct live *live)
{
	int err = 0;

	if (live->options->stats)
		err = writer_open(live->options->stats, &live->writer);
	hold(live, live->held);
	live->started = loop_clock(); /* taking the memory took a while */
	note_carriers(live, NULL, live->started);
	for (unsigned k = 0; k < live->crew.n; k++)
		worker_start(&live->crew.workers.worker[k], live->started);
	return err ? err : crew_start(&live->crew);
}

static int enter_sandbox(const struct live *live, const struct rules *rules)
{
	const struct options *options = live->options;
	int ports[NSIDES + NSIDES * RULES_WORKERS_MAX * PACKET_FDS];
	struct sandbox sandbox = {
	        .user = options->user,
	        .files = {.config = options->config, .stats = options->stats, .rules = rules},
	        .ports = ports,
	        .nports = NSIDES,
	};

	vacancy_fds(live->vacancy, ports);
	for (unsigned k = 0; k < live->crew.n; k++)
		for (unsigned side = 0; side < NSIDES; side++)
			sandbox.nports +=
			        packet_fds(live->crew.ports[k][side], &ports[sandbox.nports]);
	return sandbox_enter(&sandbox);
}

/* On sides without a carrier that is done when they have one. */
static int check_at_start(struct live *live, const struct rules *rules)
{
	unsigned sides = with_carrier(live, ANNOUNCER_BOTH);

	live->held = ANNOUNCER_BOTH & ~sides;
	for (unsigned side = 0; side < NSIDES; side++)
		if (live->held >> side & 1)
			log_warning("%s: has no carrier: whether our addresses are free there is "
			            "checked when it has one, and until then none is used",
			            live->options->names[side]);
	return check_on(live, sides, rules, NULL);
}

/* Begins; on failure the rules remain the caller's. */
static int start(struct live *live, struct rules *rules)
{
	struct hash_key key;
	int err;

	live->max_connections = rules->max_connections;
	live->keep = rules->on_exit == ON_EXIT_KEEP;
	live->max_half_open = rules->max_half_open;
	limits_raise();
	if ((err = crew_init(&live->crew, workers_wanted(rules))) < 0 ||
	    (err = make_key(live->options, &key)) < 0 ||
	    (err = live->signals = signals_open()) < 0 ||
	    (err = open_ports(live, rules, &key)) < 0 || (err = enter_sandbox(live, rules)) < 0 ||
	    (err = check_at_start(live, rules)) < 0 ||
	    (err = workers_init(&live->crew.workers, rules, &key, live->crew.ports, live->crew.n,
	                        live->fastpath, true, loop_clock())) < 0)
		return err;
	return 0;
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
	crew_stop(&live->crew);
	workers_finish(&live->crew.workers, loop_clock());
	text = !err && live->options->stats ? take_stats(live) : NULL;
	if (live->writer)
		writer_close(live->writer, text);
	workers_free(&live->crew.workers);
	return err;
}

/* What the kernel does by itself goes on, or ends: a start that fails doesn't end what it found. */
static void close_wire(struct live *live, bool failed)
{
	const bool found = fastpath_was_left(live->fastpath);

	if (fastpath_is_active(live->fastpath) && live->keep && (!failed || found)) {
		log_info("%s, %s: the wire and open flows go on in the kernel",
		         live->options->names[OUTSIDE], live->options->names[INSIDE]);
		fastpath_leave(live->fastpath);
		cable_leave(live->cable);
	} else {
		fastpath_close(live->fastpath);
		cable_close(live->cable);
	}
}

static void close_all(struct live *live, bool failed)
{
	crew_free(&live->crew);
	vacancy_close(live->vacancy);
	close_wire(live, failed);
	if (live->signals >= 0)
		close(live->signals);
}

int live_run(const struct options *options, struct rules *rules, reload_load *load)
{
	struct live live = {.options = options, .load = load, .signals = -1};
	int err = start(&live, rules);

	if (err < 0)
		rules_free(rules);
	else
		err = run(&live);
	close_all(&live, err < 0);
	return err;
}

int live_release(const struct options *options)
{
	const char *const *names = options->names;
	struct cable *cable = NULL;
	int err = cable_open(names, false, loop_clock(), &cable);

	if (err < 0)
		return err; /* one that runs has them, above all */
	err = fastpath_release(names, cable);
	cable_close(cable);
	if (err == -ENOENT)
		log_error("%s, %s: nothing was left in the kernel", names[OUTSIDE], names[INSIDE]);
	else if (err < 0)
		log_error("%s, %s: releasing the wire: %s", names[OUTSIDE], names[INSIDE],
		          strerror(-err));
	return err;
}
