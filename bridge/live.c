/*
 * The live loop.
 *
 * One thread takes turns with the two ports, a burst each, and never waits while frames come. When
 * none does it goes on looking for LIVE_SPIN_NS, since the next one is likely to be near and waking
 * up costs more than that, and then sleeps until a frame, a signal or the next tick.
 */
#include "live.h"

#include "log.h"
#include "packet.h"
#include "preflight.h"
#include "stats.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define LIVE_SPIN_NS (50 * 1000ull)
#define LIVE_TICK_NS LB_NS_PER_MS
enum { LIVE_SLEEP_MS = 50 };

struct live {
	const struct options *options;
	live_load *load;
	struct worker worker;
	struct port *ports[NSIDES];
	int signals; /* signalfd */
	lb_time started, ticked, active;
	bool stop;
};

static lb_time clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (lb_time){(uint64_t)t.tv_sec * LB_NS_PER_S + (uint64_t)t.tv_nsec};
}

static void write_stats(struct live *live, lb_time now)
{
	packet_count_missed(live->ports[OUTSIDE]);
	packet_count_missed(live->ports[INSIDE]);
	if (live->options->stats)
		stats_write(&live->worker, (lb_time){now.ns - live->started.ns},
		            live->options->stats);
	else
		log_warning("SIGUSR1: no --stats FILE to write to");
}

static void reload(struct live *live, lb_time now)
{
	struct rules *rules = live->load(live->options);
	uint32_t capacity = lb_balance(live->worker.lb)->flows.capacity;
	const char *file = live->options->config;

	if (!rules)
		return;
	if (rules->max_connections != capacity)
		log_warning("%s: [bridge] max_connections: stays %u until a restart", file,
		            capacity);
	if (worker_reload(&live->worker, rules, now) < 0) {
		log_error("%s: not reloaded: nothing has changed", file);
		rules_free(rules);
		return;
	}
	log_info("%s: reloaded", file);
}

static void handle_signals(struct live *live, lb_time now)
{
	struct signalfd_siginfo info;

	while (read(live->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			write_stats(live, now);
		else if (info.ssi_signo == SIGHUP)
			reload(live, now);
		else
			live->stop = true;
	}
}

static void tick(struct live *live, lb_time now)
{
	if (now.ns - live->ticked.ns < LIVE_TICK_NS)
		return;
	live->ticked = now;
	worker_tick(&live->worker, now);
	handle_signals(live, now);
}

/* A burst from a port; says if there was any. */
static bool turn(struct live *live, struct port *port)
{
	struct frame frames[PORT_BURST];
	unsigned n = port->ops->receive(port, frames);

	if (n)
		worker_burst(&live->worker, frames, n, clock_now());
	return n;
}

/* How long to sleep at most, in ms: until something is due. */
static int sleep_ms(const struct live *live, lb_time now)
{
	uint64_t due = worker_due(&live->worker).ns;

	if (due <= now.ns)
		return 0;
	due = (due - now.ns) / LB_NS_PER_MS + 1;
	return due < LIVE_SLEEP_MS ? (int)due : LIVE_SLEEP_MS;
}

static void sleep_until_event(struct live *live, lb_time now)
{
	struct pollfd fds[] = {
	        {.fd = packet_fd(live->ports[OUTSIDE]), .events = POLLIN},
	        {.fd = packet_fd(live->ports[INSIDE]), .events = POLLIN},
	        {.fd = live->signals, .events = POLLIN},
	};

	poll(fds, sizeof(fds) / sizeof(fds[0]), sleep_ms(live, now));
}

static void loop(struct live *live)
{
	while (!live->stop) {
		bool outside = turn(live, live->ports[OUTSIDE]);
		bool inside = turn(live, live->ports[INSIDE]);
		lb_time now = clock_now();

		if (outside || inside)
			live->active = now;
		else if (now.ns - live->active.ns > LIVE_SPIN_NS)
			sleep_until_event(live, now);
		tick(live, clock_now());
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
	sigprocmask(SIG_BLOCK, &set, NULL);
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

static int open_ports(struct live *live, const struct rules *rules)
{
	int err;

	if ((err = preflight_interfaces(live->options->names)) < 0)
		return err;
	for (unsigned side = 0; side < NSIDES; side++)
		if ((err = packet_open((enum side)side, live->options->names[side],
		                       &live->ports[side])) < 0)
			return err;
	return preflight_addresses(live->ports, rules);
}

/* Begins; on failure the rules remain the caller's. */
static int start(struct live *live, struct rules *rules)
{
	struct hash_key key;
	lb_time now;
	int err;

	if ((err = make_key(live->options, &key)) < 0 || (err = open_signals(live)) < 0 ||
	    (err = open_ports(live, rules)) < 0)
		return err;
	now = clock_now();
	err = worker_init(&live->worker, rules, &key, live->ports, true, now);
	if (err < 0)
		return err;
	now = clock_now(); /* taking the memory took a while */
	live->started = live->ticked = live->active = now;
	worker_start(&live->worker, now);
	log_info("%s, %s: balancing", live->options->names[OUTSIDE], live->options->names[INSIDE]);
	return 0;
}

static void run(struct live *live)
{
	loop(live);
	if (live->options->stats)
		write_stats(live, clock_now());
	worker_free(&live->worker);
}

int live_run(const struct options *options, struct rules *rules, live_load *load)
{
	struct live live = {.options = options, .load = load, .signals = -1};
	int err = start(&live, rules);

	if (err < 0)
		rules_free(rules);
	else
		run(&live);

	for (unsigned side = 0; side < NSIDES; side++)
		if (live.ports[side])
			packet_close(live.ports[side]);
	if (live.signals >= 0)
		close(live.signals);
	return err;
}
