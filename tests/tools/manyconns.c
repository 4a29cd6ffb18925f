/*
 * Many TCP connections at once, from either end.
 *
 *   manyconns serve NAME PORT...
 *   manyconns connect [-n N] [-j N] [-a FIRST -A COUNT] [-t S] [-b] [-c] [-g] [-w] ADDRESS PORT
 *
 * The server greets each connection with "NAME PEER SELF\n", both as address:port, and answers
 * every line with "NAME LINE\n". Lines are short and fit the socket buffers, so that it keeps no
 * state for a connection and neither side handles a partial line: one that is cut counts as lost.
 *
 * The client opens N connections, -j at a time, from COUNT source addresses in turn. With -c it
 * closes each one once it was greeted. With -g it prints the greetings. Else it holds them all,
 * sends a line over each and checks who answers: once; or with -w once for each line on stdin,
 * until its end; with -b over all of them at once. Each round ends with a line of JSON on stdout.
 * Nothing heard for -t seconds ends a round. In the end it closes them, some at a time: of as many
 * FINs as there are connections some get lost, and those come again together.
 */
#include <arpa/inet.h>
#include <errno.h>
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
	NAME_BYTES = 16,
	LINE_BYTES = 128,
	EVENTS = 256,
	SERVERS = 16,
	WORKERS = 4,
	BACKLOG = 65535,
	ENDING_AT_ONCE = 100,
	END_MS = 1000
};

enum state { IDLE, CONNECTING, GREETING, HELD, ECHOING, ENDING, OVER };

struct conn {
	int fd;
	enum state state;
	unsigned server; /* index into names */
	double sent;     /* when its line was sent, in seconds */
};

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct options {
	unsigned n, in_flight, addresses, timeout_s;
	struct in_addr first;
	bool close, greetings, wait, burst;
	union address to;
};

static struct counts {
	unsigned connected, refused, reset, timeout, failed, echoed, lost, pending;
} counts;

static char names[SERVERS][NAME_BYTES];
static unsigned per_server[SERVERS];
static double longest; /* from a line to its answer, in seconds */
static unsigned nservers;

static void die(const char *what)
{
	fprintf(stderr, "manyconns: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int epoll, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data.u64 = data};

	if (epoll_ctl(epoll, op, fd, &event))
		die("epoll_ctl");
}

static unsigned number(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

/* Of an IPv6 socket, which takes connections of IPv4 as well. */
static void address_text(const struct sockaddr_in6 *a, char ret[LINE_BYTES])
{
	bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(&a->sin6_addr);
	char ip[INET6_ADDRSTRLEN] = "";

	if (is_ipv4)
		inet_ntop(AF_INET, &a->sin6_addr.s6_addr[12], ip, sizeof(ip));
	else
		inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof(ip));
	snprintf(ret, LINE_BYTES, is_ipv4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)ntohs(a->sin6_port));
}

/* Server */

/* Several processes, as one may not be allowed as many files as there will be connections. */
static void workers_fork(void)
{
	for (int i = 1; i < WORKERS; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			return;
		}
}

static int listen_on(unsigned port)
{
	struct sockaddr_in6 self = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) || listen(fd, BACKLOG))
		die("listen");
	return fd;
}

static void greet(int fd, const char *name)
{
	struct sockaddr_in6 self, peer;
	socklen_t self_bytes = sizeof(self), peer_bytes = sizeof(peer);
	char self_text[LINE_BYTES], peer_text[LINE_BYTES];

	if (getsockname(fd, (struct sockaddr *)&self, &self_bytes) ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_bytes))
		return;
	address_text(&self, self_text);
	address_text(&peer, peer_text);
	dprintf(fd, "%s %s %s\n", name, peer_text, self_text);
}

static void accept_all(int epoll, int listener, const char *name)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)fd);
		greet(fd, name);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static void answer(int fd, const char *name)
{
	char line[LINE_BYTES];
	ssize_t len = read(fd, line, sizeof(line));

	if (len > 0)
		dprintf(fd, "%s %.*s", name, (int)len, line);
	else if (len == 0 || errno != EAGAIN)
		close(fd);
}

static int serve(int argc, char **argv)
{
	int epoll, last_listener = 0;
	struct epoll_event events[EVENTS];

	if (argc < 2)
		return 2;
	workers_fork();
	epoll = epoll_create1(0);
	for (int i = 1; i < argc; i++) {
		last_listener = listen_on(number(argv[i]));
		watch(epoll, EPOLL_CTL_ADD, last_listener, EPOLLIN, (uint64_t)last_listener);
	}
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u64;

			if (fd <= last_listener)
				accept_all(epoll, fd, argv[0]);
			else
				answer(fd, argv[0]);
		}
	}
}

/* Client */

static unsigned server_index(const char *name)
{
	for (unsigned i = 0; i < nservers; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	if (nservers == SERVERS) {
		errno = E2BIG;
		die("servers");
	}
	strcpy(names[nservers], name);
	return nservers++;
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	c->state = OVER;
}

static void conn_fail(struct conn *c, int error)
{
	counts.pending--;
	if (c->state == ECHOING)
		counts.lost++;
	else if (error == ECONNREFUSED)
		counts.refused++;
	else if (error == ECONNRESET)
		counts.reset++;
	else if (error == ETIMEDOUT)
		counts.timeout++;
	else
		counts.failed++;
	conn_close(c);
}

static void conn_open(int epoll, struct conn *c, unsigned i, const struct options *o)
{
	struct sockaddr_in from = {.sin_family = AF_INET};

	c->fd = socket(o->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("socket");
	c->state = CONNECTING;
	counts.pending++;
	if (o->addresses) {
		from.sin_addr.s_addr = htonl(ntohl(o->first.s_addr) + i % o->addresses);
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
		if (bind(c->fd, (struct sockaddr *)&from, sizeof(from)))
			die("bind");
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	watch(epoll, EPOLL_CTL_ADD, c->fd, EPOLLOUT, i);
	if (connect(c->fd, &o->to.any, sizeof(o->to)) && errno != EINPROGRESS)
		conn_fail(c, errno);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void conn_send(struct conn *c, unsigned i)
{
	c->state = ECHOING;
	counts.pending++;
	c->sent = seconds();
	dprintf(c->fd, "%u\n", i);
}

static void conn_connected(int epoll, struct conn *c, unsigned i)
{
	int error = 0;
	socklen_t bytes = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
	if (error) {
		conn_fail(c, error);
		return;
	}
	c->state = GREETING;
	watch(epoll, EPOLL_CTL_MOD, c->fd, EPOLLIN, i);
}

static void conn_greeted(struct conn *c, const char *line, const struct options *o)
{
	char name[NAME_BYTES];

	if (sscanf(line, "%15s", name) != 1) {
		conn_fail(c, EPROTO);
		return;
	}
	counts.pending--;
	counts.connected++;
	c->server = server_index(name);
	per_server[c->server]++;
	c->state = HELD;
	if (o->greetings)
		fputs(line, stdout);
	if (o->close)
		conn_close(c);
}

static void conn_echoed(struct conn *c, unsigned i, const char *line)
{
	char expected[LINE_BYTES];

	snprintf(expected, sizeof(expected), "%s %u\n", names[c->server], i);
	if (strcmp(line, expected) != 0) {
		conn_fail(c, EPROTO);
		return;
	}
	counts.pending--;
	counts.echoed++;
	longest = seconds() - c->sent > longest ? seconds() - c->sent : longest;
	c->state = HELD;
}

static void conn_event(int epoll, struct conn *c, unsigned i, const struct options *o)
{
	char line[LINE_BYTES];
	ssize_t len;

	if (c->state == CONNECTING) {
		conn_connected(epoll, c, i);
		return;
	}
	len = read(c->fd, line, sizeof(line) - 1);
	if (len < 0 && errno == EAGAIN)
		return;
	line[len > 0 ? len : 0] = '\0';
	if (c->state == GREETING && len > 0)
		conn_greeted(c, line, o);
	else if (c->state == ECHOING && len > 0)
		conn_echoed(c, i, line);
	else if (c->state == GREETING || c->state == ECHOING)
		conn_fail(c, len ? errno : ECONNRESET);
	else
		conn_close(c); /* while held: the next round counts it as lost */
}

/* Opens (from IDLE) or sends over (from HELD) every connection, so many at a time. */
static void round_run(int epoll, struct conn *conns, enum state from, const struct options *o)
{
	const unsigned in_flight = from == HELD && o->burst ? o->n : o->in_flight;
	struct epoll_event events[EVENTS];
	unsigned next = 0;

	while (next < o->n || counts.pending) {
		int n;

		for (; next < o->n && counts.pending < in_flight; next++) {
			struct conn *c = &conns[next];

			if (from == IDLE)
				conn_open(epoll, c, next, o);
			else if (c->state == HELD)
				conn_send(c, next);
			else
				counts.lost++;
		}
		if (counts.pending == 0)
			continue;
		n = epoll_wait(epoll, events, EVENTS, (int)(o->timeout_s * 1000));
		for (int i = 0; i < n; i++) {
			unsigned at = (unsigned)events[i].data.u64;

			conn_event(epoll, &conns[at], at, o);
		}
		for (unsigned i = 0; n == 0 && i < next; i++)
			if (conns[i].state != HELD && conns[i].state != OVER)
				conn_fail(&conns[i], ETIMEDOUT);
	}
}

/* Each is over when its other end has said so too, or when nothing was heard for a second. */
static void conns_end(int epoll, struct conn *conns, unsigned n)
{
	struct epoll_event events[EVENTS];
	unsigned next = 0, ending = 0;
	int heard;

	do {
		for (; next < n && ending < ENDING_AT_ONCE; next++)
			if (conns[next].state == HELD) {
				shutdown(conns[next].fd, SHUT_WR);
				conns[next].state = ENDING;
				ending++;
			}
		heard = ending ? epoll_wait(epoll, events, EVENTS, END_MS) : 0;
		for (int i = 0; i < heard; i++) {
			struct conn *c = &conns[events[i].data.u64];

			ending -= c->state == ENDING;
			if (c->state != OVER)
				conn_close(c);
		}
	} while (heard > 0);
}

static void report(double since)
{
	printf("{\"connected\":%u,\"refused\":%u,\"reset\":%u,\"timeout\":%u,\"failed\":%u,"
	       "\"echoed\":%u,\"lost\":%u,\"longest\":%.3f,\"seconds\":%.3f,\"servers\":{",
	       counts.connected, counts.refused, counts.reset, counts.timeout, counts.failed,
	       counts.echoed, counts.lost, longest, seconds() - since);
	for (unsigned i = 0; i < nservers; i++)
		printf("%s\"%s\":%u", i ? "," : "", names[i], per_server[i]);
	printf("}}\n");
	fflush(stdout);
}

static int connect_run(const struct options *o)
{
	struct conn *conns = calloc(o->n, sizeof(*conns));
	int epoll = epoll_create1(0);
	double start = seconds();
	char line[LINE_BYTES];

	if (!conns || epoll < 0)
		die("start");
	round_run(epoll, conns, IDLE, o);
	if (!o->wait && !o->close)
		round_run(epoll, conns, HELD, o);
	if (!o->greetings)
		report(start);
	while (o->wait && fgets(line, sizeof(line), stdin)) {
		start = seconds();
		counts.echoed = counts.lost = 0;
		longest = 0;
		round_run(epoll, conns, HELD, o);
		report(start);
	}
	conns_end(epoll, conns, o->n);
	free(conns);
	return 0;
}

/* The port stands at the same place of both. */
static bool parse_to(const char *ip, unsigned port, union address *ret)
{
	ret->in.sin_port = htons((uint16_t)port);
	ret->any.sa_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	return ret->any.sa_family == AF_INET6 ? inet_pton(AF_INET6, ip, &ret->in6.sin6_addr) == 1
	                                      : inet_pton(AF_INET, ip, &ret->in.sin_addr) == 1;
}

static int connect_main(int argc, char **argv)
{
	struct options o = {.n = 1, .in_flight = 256, .timeout_s = 10};
	int c;

	while ((c = getopt(argc, argv, "n:j:a:A:t:bcgw")) != -1) {
		if (c == 'n')
			o.n = number(optarg);
		else if (c == 'j')
			o.in_flight = number(optarg);
		else if (c == 'a' && inet_pton(AF_INET, optarg, &o.first) == 1)
			o.addresses = o.addresses ? o.addresses : 1;
		else if (c == 'A')
			o.addresses = number(optarg);
		else if (c == 't')
			o.timeout_s = number(optarg);
		else if (c == 'b')
			o.burst = true;
		else if (c == 'c')
			o.close = true;
		else if (c == 'g')
			o.greetings = true;
		else if (c == 'w')
			o.wait = true;
		else
			return 2;
	}
	if (argc - optind != 2 || !parse_to(argv[optind], number(argv[optind + 1]), &o.to))
		return 2;
	return connect_run(&o);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	int status = 2;

	signal(SIGPIPE, SIG_IGN); /* who is told may be gone */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		status = serve(argc - 2, argv + 2);
	else if (argc > 1 && strcmp(argv[1], "connect") == 0)
		status = connect_main(argc - 1, argv + 1);
	if (status == 2)
		fputs("manyconns: see the head of tests/tools/manyconns.c\n", stderr);
	return status;
}
