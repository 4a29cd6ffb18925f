/*
 * Round trips of 64 bytes over one TCP connection, one after the other, without a pause.
 *
 *   trips serve ADDRESS PORT
 *   trips ADDRESS PORT SECONDS SLOT_MS
 *
 * The time of day is cut into slots of SLOT_MS. In the end it prints, for each slot, a line: its
 * number (the time of day in ms by SLOT_MS), and BIN:COUNT for each bin in which there were any:
 * the bin n is of those that took n to n + 1 quarters of a microsecond, the last one of all longer
 * ones. So whoever does something in some slots finds those round trips that were beside it, and no
 * program has to be started in between.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, BINS = 8192, BINS_PER_US = 4, SLOTS_MAX = 4096 };

static uint32_t (*slots)[BINS];
static volatile sig_atomic_t over; /* by SIGTERM, upon which it prints as well */

static void end_it(int signal_number)
{
	(void)signal_number;
	over = 1;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in place(char **argv)
{
	struct sockaddr_in ret = {.sin_family = AF_INET,
	                          .sin_port = htons((uint16_t)atoi(argv[1]))};

	if (inet_pton(AF_INET, argv[0], &ret.sin_addr) != 1)
		exit(2);
	return ret;
}

static int tcp(void)
{
	const int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		die("socket");
	return fd;
}

static bool get(int fd, char *bytes)
{
	return recv(fd, bytes, BYTES, MSG_WAITALL) == BYTES;
}

static bool put(int fd, const char *bytes)
{
	return send(fd, bytes, BYTES, MSG_NOSIGNAL) == BYTES;
}

static int serve(char **argv)
{
	const struct sockaddr_in at = place(argv);
	const int one = 1, listener = tcp();
	char bytes[BYTES];

	if (bind(listener, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 8) < 0)
		die("listen");
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (get(fd, bytes) && put(fd, bytes))
			;
	}
	return 1;
}

static void print(uint64_t first)
{
	for (unsigned s = 0; s < SLOTS_MAX; s++) {
		bool any = false;

		for (unsigned bin = 0; bin < BINS; bin++) {
			if (!slots[s][bin])
				continue;
			if (!any)
				printf("%llu", (unsigned long long)first + s);
			any = true;
			printf(" %u:%u", bin, slots[s][bin]);
		}
		if (any)
			putchar('\n');
	}
}

int main(int argc, char **argv)
{
	uint64_t slot_ns, first, end, before, after;
	struct sockaddr_in to;
	char bytes[BYTES] = {0};
	int fd;

	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv + 2);
	if (argc != 5 || atoi(argv[4]) < 1)
		return 2;
	to = place(argv + 1);
	slot_ns = (uint64_t)atoi(argv[4]) * 1000000;
	slots = calloc(SLOTS_MAX, sizeof(*slots));
	fd = tcp();
	if (!slots || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	before = now_ns(CLOCK_REALTIME);
	first = before / slot_ns;
	end = before + (uint64_t)atoi(argv[3]) * 1000000000;
	sigaction(SIGTERM, &(struct sigaction){.sa_handler = end_it}, NULL);
	for (; before < end && !over; before = after) {
		const uint64_t slot = before / slot_ns - first;
		uint64_t bin;

		if (slot >= SLOTS_MAX || !put(fd, bytes) || !get(fd, bytes))
			break;
		after = now_ns(CLOCK_REALTIME);
		bin = (after - before) * BINS_PER_US / 1000;
		slots[slot][bin < BINS ? bin : BINS - 1]++;
	}
	print(first);
	return before < end && !over;
}
