/*
 * One TCP connection, step by step, from either end.
 *
 *   talk connect ADDRESS PORT STEP...
 *   talk serve PORT STEP...
 *
 * The server takes one connection after the other, and does the same steps over each. Both end with
 * status 1 and a message at the first step that fails.
 *
 *   send:N recv:N   N bytes, all of them   eof          the peer has no more to say
 *   oob             a byte of urgent data  urgent       wait for one
 *   fin             no more from here      rst          reset (SO_LINGER of 0)
 *   pause:MS        do nothing             at:SECOND    until that second (time_t) has come
 *   stop            until a SIGCONT
 *   tos:N           the type of service    ipopt:HEX    IP options
 *   keepalive:S     a probe each S         rcvbuf:N     a small window
 *   forge           send a RST with the right number, as somebody else might; the socket lives on
 *   reset           the peer must have reset the connection
 *
 * tos, ipopt and rcvbuf count from before the connection if they come first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536, TIMEOUT_MS = 60000, MS_PER_S = 1000 };

static char chunk[CHUNK];

static int die(const char *what)
{
	fprintf(stderr, "talk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	errno = ETIMEDOUT;
	return poll(&p, 1, TIMEOUT_MS) == 1 ? 0 : -1;
}

static int send_bytes(int fd, long n)
{
	while (n > 0) {
		ssize_t done = send(fd, chunk, (size_t)(n < CHUNK ? n : CHUNK), MSG_NOSIGNAL);

		if (done < 0)
			return -1;
		n -= done;
	}
	return 0;
}

static int receive_bytes(int fd, long n)
{
	while (n > 0) {
		ssize_t done;

		if (wait_for(fd, POLLIN) < 0)
			return -1;
		done = recv(fd, chunk, (size_t)(n < CHUNK ? n : CHUNK), 0);
		if (done <= 0)
			return -1;
		n -= done;
	}
	return 0;
}

static int receive_end(int fd)
{
	errno = EPROTO;
	return wait_for(fd, POLLIN) == 0 && recv(fd, chunk, 1, 0) == 0 ? 0 : -1;
}

static int expect_reset(int fd)
{
	if (wait_for(fd, POLLIN) < 0)
		return -1;
	return recv(fd, chunk, 1, 0) < 0 && errno == ECONNRESET ? 0 : -1;
}

static int receive_urgent(int fd)
{
	return wait_for(fd, POLLPRI) == 0 && recv(fd, chunk, 1, MSG_OOB) == 1 ? 0 : -1;
}

static int reset(int *fd)
{
	const struct linger linger = {.l_onoff = 1};

	setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(*fd);
	*fd = -1;
	return 0;
}

static int set_ip_options(int fd, const char *hex)
{
	unsigned char bytes[40];
	unsigned n = 0;

	while (n < sizeof(bytes) && sscanf(hex + (size_t)2 * n, "%2hhx", &bytes[n]) == 1)
		n++;
	return setsockopt(fd, IPPROTO_IP, IP_OPTIONS, bytes, n);
}

static int keep_alive(int fd, int seconds)
{
	return option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) |
	       option(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds) |
	       option(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
}

static int pause_ms(long ms)
{
	const struct timespec time = {ms / MS_PER_S, ms % MS_PER_S * 1000000};

	return nanosleep(&time, NULL);
}

static int pause_until(long second)
{
	const struct timespec time = {.tv_sec = second};

	errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL);
	return errno ? -1 : 0;
}

/* The number of the next byte to send, which only TCP_REPAIR tells. */
static uint32_t next_number(int fd)
{
	uint32_t number = 0;
	socklen_t len = sizeof(number);

	if (option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) < 0 ||
	    option(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) < 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &len) < 0 ||
	    option(fd, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) < 0)
		die("TCP_REPAIR");
	return number;
}

static uint16_t sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t s = 0;

	for (size_t i = 0; i < len; i++)
		s += i % 2 ? p[i] : p[i] * 256u;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static int forge_reset(int fd)
{
	struct sockaddr_in from, to;
	socklen_t len = sizeof(from);
	struct {
		struct in_addr from, to;
		uint16_t protocol, len;
		struct tcphdr tcp;
	} packet = {.protocol = htons(IPPROTO_TCP), .len = htons(sizeof(struct tcphdr))};
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);

	if (raw < 0 || getsockname(fd, (struct sockaddr *)&from, &len) < 0 ||
	    getpeername(fd, (struct sockaddr *)&to, &len) < 0)
		return -1;
	packet.from = from.sin_addr;
	packet.to = to.sin_addr;
	packet.tcp = (struct tcphdr){.source = from.sin_port,
	                             .dest = to.sin_port,
	                             .seq = htonl(next_number(fd)),
	                             .doff = sizeof(struct tcphdr) / 4,
	                             .rst = 1};
	packet.tcp.check = sum(&packet, sizeof(packet));
	to.sin_port = 0;
	return sendto(raw, &packet.tcp, sizeof(packet.tcp), 0, (struct sockaddr *)&to, sizeof(to)) <
	                       0
	               ? -1
	               : close(raw);
}

/* 0, or -1 with errno set. */
static int do_step(int *fd, const char *step)
{
	const char *value = strchr(step, ':');
	long n = value ? atol(value + 1) : 0;
	size_t len = value ? (size_t)(value - step) : strlen(step);

#define IS(name) (len == strlen(name) && !memcmp(step, name, len))
	if (IS("send"))
		return send_bytes(*fd, n);
	if (IS("recv"))
		return receive_bytes(*fd, n);
	if (IS("eof"))
		return receive_end(*fd);
	if (IS("oob"))
		return send(*fd, "!", 1, MSG_OOB) == 1 ? 0 : -1;
	if (IS("urgent"))
		return receive_urgent(*fd);
	if (IS("fin"))
		return shutdown(*fd, SHUT_WR);
	if (IS("rst"))
		return reset(fd);
	if (IS("reset"))
		return expect_reset(*fd);
	if (IS("forge"))
		return forge_reset(*fd);
	if (IS("pause"))
		return pause_ms(n);
	if (IS("stop"))
		return raise(SIGSTOP);
	if (IS("at"))
		return pause_until(n);
	if (IS("tos"))
		return option(*fd, IPPROTO_IP, IP_TOS, (int)n);
	if (IS("ipopt"))
		return set_ip_options(*fd, value + 1);
	if (IS("keepalive"))
		return keep_alive(*fd, (int)n);
	if (IS("rcvbuf"))
		return option(*fd, SOL_SOCKET, SO_RCVBUF, (int)n);
#undef IS
	errno = EINVAL;
	return -1;
}

/* If it makes sense, and a difference, before there is a connection. */
static bool is_early(const char *step)
{
	return !strncmp(step, "tos:", 4) || !strncmp(step, "ipopt:", 6) ||
	       !strncmp(step, "rcvbuf:", 7);
}

static void do_all(int *fd, char **steps, bool early)
{
	for (; *steps && is_early(*steps); steps++)
		if (early && do_step(fd, *steps) < 0)
			die(*steps);
	for (; *steps && !early; steps++)
		if (do_step(fd, *steps) < 0)
			die(*steps);
}

static int serve(int port, char **steps)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	do_all(&listener, steps, true);
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 8) < 0)
		die("listen");
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		do_all(&fd, steps, false);
		if (fd >= 0)
			close(fd);
	}
	return die("accept");
}

static int talk(const char *address, int port, char **steps)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		die(address);
	do_all(&fd, steps, true);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	do_all(&fd, steps, false);
	return 0;
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 3 && !strcmp(argv[1], "connect"))
		return talk(argv[2], atoi(argv[3]), argv + 4);
	if (argc > 2 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]), argv + 3);
	fprintf(stderr, "usage: talk connect ADDRESS PORT STEP... | serve PORT STEP...\n");
	return 2;
}
