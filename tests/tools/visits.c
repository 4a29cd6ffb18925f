/*
 * Visits: TCP connections that are begun at a steady rate, whatever became of those before.
 *
 *   visits serve NAME PORT
 *   visits connect -r RATE -s SECONDS [-l MS] [-t S] [-n FIRST] ADDRESS PORT
 *
 * The server greets with its name and sends back what it hears; to whom it hears "bye" from, it is
 * the one that closes first. A client leaves at once, as the server closes; or with -l stays for up
 * to so many ms, says something twice a second meanwhile, and every other time closes first. Who
 * isn't answered for -t seconds (30) gives up, and one for whom there is no open file left has
 * failed. With -n each visit comes from another IPv4 address, mostly of another /24, or from
 * another IPv6 /48, FIRST being the first: the kernel must take them for local ones.
 *
 * Each visit that fails is a line of JSON on stderr. SECONDS later, or upon SIGTERM, none is begun
 * any more; at the end there is a line on stdout: how many there were, failed, how long connecting
 * took, how often more than 200 ms, and how many visits began more than 100 ms too late for this
 * program's sake.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	FILES = 65536,
	EVENTS = 256,
	BACKLOG = 65535,
	SERVERS = 4, /* processes */
	LINE = 64,
	MS = 1000000, /* ns */
	SAY_MS = 500,
	SWEEP_MS = 20,
	STALL_MS = 200,
	LATE_MS = 100,
	BUCKETS = 100000, /* of 100 us */
	BUCKET_NS = 100000,
};

enum state { FREE, CONNECTING, GREETED_NOT, STAYING, LEAVING };

struct visit {
	int fd;
	enum state state;
	int64_t began, heard, until, says; /* ns */
	char server[16];
	bool closes_first;
};

union name {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static struct visits {
	struct visit *all;
	unsigned *free, nfree, active;
	unsigned long begun, ended, failed, stalls, late;
	unsigned long buckets[BUCKETS], connected;
	int64_t longest, stay_ms, timeout_s;
	union name to, from; /* from.any.sa_family: 0, or that of -n */
} visits;

static int poller;
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "visits: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000ll * MS + t.tv_nsec;
}

static void watch(int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	if (epoll_ctl(poller, op, fd, &event) < 0)
		die("epoll_ctl");
}

/* ---- The server ---- */

static int listen_on(const char *port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
	                           .sin6_port = htons((uint16_t)atoi(port))};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, zero = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, BACKLOG) < 0)
		die("listening");
	return fd;
}

static void answer(int fd)
{
	char line[LINE];
	const ssize_t n = recv(fd, line, sizeof(line), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || memchr(line, 'b', (size_t)n) ||
	    send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		close(fd);
}

static void greet_all(int listener, const char *name)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (send(fd, name, strlen(name), MSG_NOSIGNAL) < 0)
			close(fd);
		else
			watch(EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)fd);
	}
}

_Noreturn static void serve(const char *name, const char *port)
{
	struct epoll_event events[EVENTS];
	int listener;

	for (int i = 1; i < SERVERS && fork(); i++)
		;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	poller = epoll_create1(0);
	listener = listen_on(port);
	watch(EPOLL_CTL_ADD, listener, EPOLLIN, (uint64_t)listener);
	for (;;) {
		const int n = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if ((int)events[i].data.u64 == listener)
				greet_all(listener, name);
			else
				answer((int)events[i].data.u64);
	}
}

/* ---- The client ---- */

static void forget(struct visit *v)
{
	close(v->fd);
	v->state = FREE;
	visits.free[visits.nfree++] = (unsigned)(v - visits.all);
	visits.active--;
	visits.ended++;
}

static void fail(struct visit *v, const char *what)
{
	struct sockaddr_in6 at = {0};
	socklen_t bytes = sizeof(at);

	getsockname(v->fd, (struct sockaddr *)&at, &bytes);
	fprintf(stderr,
	        "{\"at\":%.3f,\"age_s\":%.3f,\"server\":\"%s\",\"port\":%u,\"state\":%d,\"what\":"
	        "\"%s\"}\n",
	        (double)(now_ns(CLOCK_REALTIME) / MS) / 1000,
	        (double)((now_ns(CLOCK_MONOTONIC) - v->began) / MS) / 1000, v->server,
	        ntohs(at.sin6_port), (int)v->state, what);
	visits.failed++;
	forget(v);
}

/* By the next address of -n. */
static void bind_next(int fd)
{
	const int one = 1;
	const bool v6 = visits.from.any.sa_family == AF_INET6;
	uint8_t *at = v6 ? &visits.from.in6.sin6_addr.s6_addr[4]
	                 : (uint8_t *)&visits.from.in.sin_addr + 2;

	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	if (bind(fd, &visits.from.any, sizeof(visits.from)) < 0)
		die("bind");
	if (++at[v6] == 0) /* of IPv4 the third byte, and when it has been each the fourth */
		at[!v6]++;
}

static void begin(int64_t due, int64_t now)
{
	struct visit *v;
	const int one = 1;

	visits.begun++;
	visits.late += now - due > LATE_MS * (int64_t)MS;
	if (!visits.nfree) { /* those before take too long */
		visits.failed++;
		return;
	}
	v = &visits.all[visits.free[--visits.nfree]];
	visits.active++;
	*v = (struct visit){.state = CONNECTING, .began = now, .heard = now};
	v->closes_first = visits.begun & 1 && visits.stay_ms;
	v->fd = socket(visits.to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (v->fd < 0)
		die("socket");
	setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (visits.from.any.sa_family)
		bind_next(v->fd);
	if (connect(v->fd, &visits.to.any, sizeof(visits.to)) < 0 && errno != EINPROGRESS)
		return fail(v, strerror(errno));
	watch(EPOLL_CTL_ADD, v->fd, EPOLLOUT, (uint64_t)(v - visits.all));
}

static void connected(struct visit *v, int64_t now)
{
	const int64_t took = now - v->began;
	int error = 0;
	socklen_t bytes = sizeof(error);

	getsockopt(v->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (error)
		return fail(v, strerror(error));
	visits.connected++;
	visits.buckets[took / BUCKET_NS < BUCKETS ? took / BUCKET_NS : BUCKETS - 1]++;
	visits.stalls += took > STALL_MS * (int64_t)MS;
	visits.longest = took > visits.longest ? took : visits.longest;
	v->state = GREETED_NOT;
	v->heard = now;
	watch(EPOLL_CTL_MOD, v->fd, EPOLLIN, (uint64_t)(v - visits.all));
}

static void leave(struct visit *v)
{
	if (v->closes_first)
		return forget(v);
	v->state = LEAVING;
	if (send(v->fd, "bye", 3, MSG_NOSIGNAL) < 0)
		fail(v, strerror(errno));
}

static void hear(struct visit *v, int64_t now)
{
	char line[LINE];
	const ssize_t n = recv(v->fd, line, sizeof(line), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n == 0 && v->state == LEAVING)
		return forget(v);
	if (n <= 0)
		return fail(v, n ? strerror(errno) : "ended by the server");
	v->heard = now;
	if (v->state != GREETED_NOT)
		return;
	v->state = STAYING;
	memcpy(v->server, line, n < 15 ? (size_t)n : 15);
	v->until = now + (visits.stay_ms ? rand() % visits.stay_ms : 0) * MS;
	v->says = now + SAY_MS * (int64_t)MS;
	if (!visits.stay_ms)
		leave(v);
}

static void sweep(struct visit *v, int64_t now)
{
	if (v->state == FREE)
		return;
	if (now - v->heard > visits.timeout_s * 1000 * MS)
		return fail(v, "no answer");
	if (v->state != STAYING)
		return;
	if (now >= v->until)
		return leave(v);
	if (now < v->says)
		return;
	v->says = now + SAY_MS * (int64_t)MS;
	if (send(v->fd, "x", 1, MSG_NOSIGNAL) < 0)
		fail(v, strerror(errno));
}

static void handle(const struct epoll_event *event)
{
	struct visit *v = &visits.all[event->data.u64];
	const int64_t now = now_ns(CLOCK_MONOTONIC);

	if (v->state == CONNECTING)
		connected(v, now);
	else if (v->state != FREE)
		hear(v, now);
}

static void go_on(double rate, int64_t seconds)
{
	const int64_t start = now_ns(CLOCK_MONOTONIC), end = start + seconds * 1000 * MS;
	int64_t now = start, swept = start;
	struct epoll_event events[EVENTS];

	while ((!stopped && now < end) || visits.active) {
		const double due = (double)(now - start) / 1e9 * rate;
		const int n = epoll_wait(poller, events, EVENTS, 1);

		for (int i = 0; i < n; i++)
			handle(&events[i]);
		while (!stopped && now < end && (double)visits.begun < due)
			begin(start + (int64_t)((double)visits.begun / rate * 1e9),
			      now_ns(CLOCK_MONOTONIC));
		now = now_ns(CLOCK_MONOTONIC);
		if (now - swept < SWEEP_MS * (int64_t)MS)
			continue;
		swept = now;
		for (unsigned i = 0; i < FILES; i++)
			sweep(&visits.all[i], now);
	}
}

static double quantile(double q)
{
	unsigned long left = (unsigned long)((double)visits.connected * q);

	for (unsigned i = 0; i < BUCKETS; i++) {
		if (visits.buckets[i] > left)
			return (i + 1) * (double)BUCKET_NS / MS;
		left -= visits.buckets[i];
	}
	return 0;
}

static void report(void)
{
	printf("{\"visits\":%lu,\"connected\":%lu,\"failed\":%lu,\"stalls\":%lu,\"late\":%lu,"
	       "\"p50_ms\":%.1f,\"p99_ms\":%.1f,\"longest_ms\":%.1f}\n",
	       visits.begun, visits.connected, visits.failed, visits.stalls, visits.late,
	       quantile(0.5), quantile(0.99), (double)visits.longest / MS);
}

static bool parse(const char *ip, const char *port, union name *ret)
{
	ret->in.sin_port = htons((uint16_t)atoi(port));
	ret->any.sa_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	return inet_pton(ret->any.sa_family, ip,
	                 strchr(ip, ':') ? (void *)&ret->in6.sin6_addr
	                                 : (void *)&ret->in.sin_addr) == 1;
}

/* As many open files as there may be, up to FILES. Returns how many that is. */
static unsigned take_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("getrlimit");
	files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
	if (files.rlim_cur <= EVENTS || setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("open files");
	return (unsigned)files.rlim_cur;
}

static int visit(int argc, char **argv, unsigned files)
{
	const struct sigaction action = {.sa_handler = stop};
	double rate = 0;
	int64_t seconds = 0;
	int c;

	visits.timeout_s = 30;
	while ((c = getopt(argc, argv, "r:s:l:t:n:")) != -1) {
		if (c == 'r')
			rate = atof(optarg);
		else if (c == 's')
			seconds = atoi(optarg);
		else if (c == 'l')
			visits.stay_ms = atoi(optarg);
		else if (c == 't')
			visits.timeout_s = atoi(optarg);
		else if (c != 'n' || !parse(optarg, "0", &visits.from))
			return 2;
	}
	if (rate <= 0 || seconds <= 0 || argc - optind != 2 ||
	    !parse(argv[optind], argv[optind + 1], &visits.to))
		return 2;
	sigaction(SIGTERM, &action, NULL);
	poller = epoll_create1(0);
	visits.all = calloc(FILES, sizeof(*visits.all));
	visits.free = calloc(FILES, sizeof(*visits.free));
	if (!visits.all || !visits.free || poller < 0)
		die("start");
	while (visits.nfree < files - EVENTS) {
		visits.free[visits.nfree] = files - EVENTS - 1 - visits.nfree;
		visits.nfree++;
	}
	go_on(rate, seconds);
	report();
	return 0;
}

int main(int argc, char **argv)
{
	const unsigned files = take_files();
	int status = 2;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(argv[2], argv[3]);
	if (argc > 2 && !strcmp(argv[1], "connect"))
		status = visit(argc - 1, argv + 1, files);
	if (status == 2)
		fprintf(stderr, "usage: visits serve NAME PORT | visits connect -r RATE -s SECONDS "
		                "[-l MS] [-t S] [-n FIRST] ADDRESS PORT\n");
	return status;
}
