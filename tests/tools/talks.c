/*
 * Many TCP connections at once, over each of which question and answer go on until SIGTERM.
 *
 *   talks serve PORT              sends back whatever comes, over IPv4 and IPv6
 *   talks connect ADDRESS PORT N BYTES MS [BESIDE...]
 *
 * The client sends up to BYTES over each of N connections, waits until all have come back, compares
 * them, and MS later does it again. When all are open it says "open"; upon SIGTERM it ends the
 * rounds that are underway and closes. Then it prints, as JSON, how many rounds there were, the
 * longest one in ms, and how many connections were lost. Status 1 if any was. Rounds of more than
 * 100 ms are told as they end, by when they began (s since 1970) and the connection's port.
 *
 * N connections go to each of the addresses BESIDE as well, which count as lost only; the longest
 * of their rounds is told apart. Both kinds have this process in common, and their servers if these
 * are the same: what the machine keeps either of them waiting for, both wait for.
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
	CHUNK = 65536,
	EVENTS = 64,
	MS_PER_S = 1000,
	NS_PER_MS = 1000000,
	ECHO_FDS = 65536,
	TICK_MS = 5,
	LONG_MS = 100,
};

struct talk {
	int fd; /* -1: lost, or closed */
	uint32_t size, sent, got;
	uint8_t next_out, next_in; /* of the pattern */
	int64_t since;             /* ms: of this round, or of the pause before it */
	bool is_pause, is_beside;
};

static uint8_t buffer[CHUNK];
static int poller;
static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int die(const char *what)
{
	fprintf(stderr, "talks: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * MS_PER_S + t.tv_nsec / NS_PER_MS;
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
	int fd = socket(AF_INET6, SOCK_STREAM, 0), one = 1, zero = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, SOMAXCONN) < 0)
		die("listening");
	return fd;
}

/* What came goes back, or the connection ends. Blocking: a client reads what it has asked for. */
static void echo(int fd)
{
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	for (ssize_t done = 0, m; n > 0 && done < n; done += m) {
		m = send(fd, buffer + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (m < 0)
			n = -1;
	}
	if (n <= 0)
		close(fd);
}

_Noreturn static void serve(const char *port)
{
	struct epoll_event events[EVENTS];
	int listener = listen_on(port);

	watch(EPOLL_CTL_ADD, listener, EPOLLIN, (uint64_t)listener);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = (int)events[i].data.u64;

			if (fd != listener) {
				echo(fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd >= 0)
				watch(EPOLL_CTL_ADD, fd, EPOLLIN, (uint64_t)fd);
		}
	}
}

/* ---- The client ---- */

struct talks {
	struct talk *talks;
	unsigned n, beside, lost; /* beside: of n */
	uint32_t bytes;
	int64_t pause_ms, longest_ms, beside_ms;
	uint64_t rounds;
};

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
	                           .sin6_port = htons((uint16_t)atoi(port))};
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = to6.sin6_port};
	const bool is_ipv6 = inet_pton(AF_INET6, address, &to6.sin6_addr) == 1;
	const struct sockaddr *to =
	        is_ipv6 ? (const struct sockaddr *)&to6 : (const struct sockaddr *)&to4;
	int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	if (!is_ipv6 && inet_pton(AF_INET, address, &to4.sin_addr) != 1)
		die(address);
	if (connect(fd, to, is_ipv6 ? sizeof(to6) : sizeof(to4)) < 0)
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static unsigned port_of(const struct talk *talk)
{
	struct sockaddr_storage at = {0};
	socklen_t bytes = sizeof(at);

	getsockname(talk->fd, (struct sockaddr *)&at, &bytes);
	return ntohs(((struct sockaddr_in *)&at)->sin_port);
}

static void lose(struct talks *all, struct talk *talk, const char *what)
{
	const int error = errno;

	fprintf(stderr, "talks: connection %ld, port %u: %s: %s\n", (long)(talk - all->talks),
	        port_of(talk), what, strerror(error));
	close(talk->fd);
	talk->fd = -1;
	all->lost++;
}

static void send_more(struct talks *all, struct talk *talk)
{
	while (talk->sent < talk->size) {
		const uint32_t left = talk->size - talk->sent;
		const size_t most = left < CHUNK ? left : CHUNK;
		ssize_t n;

		for (size_t i = 0; i < most; i++)
			buffer[i] = (uint8_t)(talk->next_out + i);
		n = send(talk->fd, buffer, most, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return lose(all, talk, "send");
		talk->sent += (uint32_t)n;
		talk->next_out = (uint8_t)(talk->next_out + n);
	}
	watch(EPOLL_CTL_MOD, talk->fd, talk->sent < talk->size ? EPOLLIN | EPOLLOUT : EPOLLIN,
	      (uint64_t)(talk - all->talks));
}

static void begin_round(struct talks *all, struct talk *talk, int64_t now)
{
	talk->size = 1 + (uint32_t)rand() % all->bytes;
	talk->sent = talk->got = 0;
	talk->since = now;
	talk->is_pause = false;
	send_more(all, talk);
}

static void tell(const struct talk *talk, int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	fprintf(stderr, "talks: port %u: a round of %u bytes from %.3f on took %lld ms\n",
	        port_of(talk), talk->size,
	        (double)t.tv_sec + (double)t.tv_nsec / 1e9 - (double)ms / MS_PER_S, (long long)ms);
}

static void end_round(struct talks *all, struct talk *talk, int64_t now)
{
	int64_t *longest = talk->is_beside ? &all->beside_ms : &all->longest_ms;

	if (now - talk->since > LONG_MS)
		tell(talk, now - talk->since);
	if (now - talk->since > *longest)
		*longest = now - talk->since;
	all->rounds += !talk->is_beside;
	talk->is_pause = true;
	talk->since = now;
}

static void take(struct talks *all, struct talk *talk)
{
	ssize_t n = recv(talk->fd, buffer, sizeof(buffer), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		return lose(all, talk, n ? "recv" : "ended by the server");
	for (ssize_t i = 0; i < n; i++)
		if (buffer[i] != (uint8_t)(talk->next_in + i))
			return lose(all, talk, "other bytes than were sent");
	talk->next_in = (uint8_t)(talk->next_in + n);
	talk->got += (uint32_t)n;
	if (talk->got == talk->size)
		end_round(all, talk, now_ms());
}

/* Begins rounds that are due; false if all have ended and none is to begin. */
static bool go_on(struct talks *all)
{
	const int64_t now = now_ms();
	bool any = false;

	for (unsigned i = 0; i < all->n; i++) {
		struct talk *talk = &all->talks[i];

		if (talk->fd < 0)
			continue;
		if (!stopped && talk->is_pause && now - talk->since >= all->pause_ms)
			begin_round(all, talk, now);
		any |= talk->fd >= 0 && (!stopped || !talk->is_pause);
	}
	return any;
}

static void handle(struct talks *all, const struct epoll_event *event)
{
	struct talk *talk = &all->talks[event->data.u64];

	if (talk->fd >= 0 && event->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		take(all, talk);
	if (talk->fd >= 0 && event->events & EPOLLOUT)
		send_more(all, talk);
}

static void connect_some(const char *address, const char *port, struct talks *all, unsigned first,
                         unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		all->talks[i] = (struct talk){.fd = connect_to(address, port),
		                              .is_pause = true,
		                              .is_beside = i >= all->n - all->beside};
		watch(EPOLL_CTL_ADD, all->talks[i].fd, EPOLLIN, i);
	}
}

static int talk_on(struct talks *all)
{
	struct epoll_event events[EVENTS];

	printf("open\n");
	fflush(stdout);
	while (go_on(all)) {
		int n = epoll_wait(poller, events, EVENTS, TICK_MS);

		for (int i = 0; i < n; i++)
			handle(all, &events[i]);
	}
	printf("{\"connections\":%u,\"lost\":%u,\"rounds\":%llu,\"longest_ms\":%lld,"
	       "\"beside_ms\":%lld}\n",
	       all->n - all->beside, all->lost, (unsigned long long)all->rounds,
	       (long long)all->longest_ms, (long long)all->beside_ms);
	return all->lost ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct rlimit files = {ECHO_FDS, ECHO_FDS};
	struct sigaction action = {.sa_handler = stop};
	struct talks all = {0};
	unsigned n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_NOFILE, &files);
	poller = epoll_create1(0);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	if (argc < 7 || strcmp(argv[1], "connect") != 0) {
		fprintf(stderr, "usage: talks serve PORT | talks connect ADDRESS PORT N BYTES MS "
		                "[BESIDE...]\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	n = (unsigned)atoi(argv[4]);
	all.beside = n * (unsigned)(argc - 7);
	all.n = n + all.beside;
	all.bytes = (uint32_t)atoi(argv[5]);
	all.pause_ms = atoi(argv[6]);
	all.talks = calloc(all.n, sizeof(*all.talks));
	if (!all.talks || !all.bytes)
		die("connections and bytes");
	connect_some(argv[2], argv[3], &all, 0, n);
	for (int i = 7; i < argc; i++)
		connect_some(argv[i], argv[3], &all, n * (unsigned)(i - 6), n);
	return talk_on(&all);
}
