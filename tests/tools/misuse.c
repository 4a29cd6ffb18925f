/*
 * Somebody who misuses a socket of operators, as fast as he can.
 *
 *   misuse SOCKET SECONDS HOW
 *
 * HOW is
 *   half     half a line, on each connection that he gets
 *   endless  up to 1 GB without a line's end
 *   deaf     requests whose answers he doesn't read
 *   many     1000 connections, held
 *   connect  connects and closes
 *   ask      connects, asks, reads the beginning of the answer and closes
 *   bytes    requests sent a byte at a time, with a pause of 100 us
 *   closing  asks for all flows, and closes in the middle of the answer
 *   sip      reads that answer some bytes at a time, by a receive buffer of the least size
 *   nobody   connects in vain: SOCKET is one that nobody listens at
 *
 * SOCKET - is one end of a pair of which nobody reads the other: what all that costs where there is
 * nobody but himself.
 *
 * In the end it prints, as JSON, how often he was connected, and how many ms of processor time he
 * took himself in a second.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 1000, SOME = 16, FLOOD = 65536, SIP = 64, GIGABYTE = 1000000000 };

static const char *path;
static uint64_t end_ns;
static unsigned connected;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_over(void)
{
	return now_ns() >= end_ns;
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

/* The other ends of the last MANY of his own pairs are kept. */
static int own_end(void)
{
	static int kept[MANY];
	static unsigned next;
	int ends[2];

	if (kept[next % MANY])
		close(kept[next % MANY]);
	kept[next % MANY] = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return -1;
	kept[next++ % MANY] = ends[1];
	return ends[0];
}

/* -1 if he is refused. Nothing that is done with it takes longer than 100 ms. */
static int reach(void)
{
	const struct timeval patience = {.tv_usec = 100000};
	const bool is_own = !strcmp(path, "-");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = is_own ? own_end() : socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (is_own || connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0) {
		connected++;
		return fd;
	}
	close(fd);
	return -1;
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* n connections on which that has been said, held until the end. */
static void hold(unsigned n, const char *text)
{
	unsigned got = 0;

	for (int fd; got < n && !is_over(); got++)
		if ((fd = reach()) >= 0)
			say(fd, text);
	while (!is_over())
		pause_us(10000);
}

static void endless(void)
{
	static char bytes[FLOOD];
	uint64_t said = 0;

	memset(bytes, 'x', sizeof(bytes));
	while (said < GIGABYTE && !is_over()) {
		int fd = reach();
		ssize_t n;

		while (fd >= 0 && !is_over() && (n = send(fd, bytes, FLOOD, MSG_NOSIGNAL)) > 0)
			said += (uint64_t)n;
		close(fd);
	}
	while (!is_over())
		pause_us(10000);
}

/* Asks on several connections as long as anything is taken. */
static void deaf(void)
{
	int fds[SOME];

	for (unsigned i = 0; i < SOME; i++)
		fds[i] = reach();
	while (!is_over()) {
		for (unsigned i = 0; i < SOME; i++)
			if (fds[i] >= 0)
				(void)!send(fds[i], "metrics\nconfig show\n", 20,
				            MSG_NOSIGNAL | MSG_DONTWAIT);
		pause_us(1000);
	}
}

static void bytes(void)
{
	static const char request[] = "flows client 10.0.0.0/24 and age over 10m\n";

	while (!is_over()) {
		int fd = reach();

		for (const char *c = request; fd >= 0 && *c && !is_over(); c++) {
			(void)!send(fd, c, 1, MSG_NOSIGNAL);
			pause_us(100);
		}
		close(fd);
	}
}

/* Asks, reads that much of the answer, and closes, again and again. */
static void ask(const char *request, size_t most)
{
	static char answer[FLOOD];

	while (!is_over()) {
		int fd = reach();

		if (fd < 0)
			continue;
		say(fd, request);
		if (most)
			(void)!recv(fd, answer, most, 0);
		close(fd);
	}
}

static void sip(void)
{
	const int least = 1;
	char some[SIP];
	int fd = reach();

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
		say(fd, "flows\n");
	}
	while (!is_over()) {
		(void)!recv(fd, some, sizeof(some), MSG_DONTWAIT);
		pause_us(1000);
	}
}

static bool do_it(const char *how)
{
	if (!strcmp(how, "half"))
		hold(SOME, "stat");
	else if (!strcmp(how, "endless"))
		endless();
	else if (!strcmp(how, "deaf"))
		deaf();
	else if (!strcmp(how, "many"))
		hold(MANY, "");
	else if (!strcmp(how, "connect") || !strcmp(how, "nobody"))
		ask("", 0);
	else if (!strcmp(how, "ask"))
		ask("status\n", 9);
	else if (!strcmp(how, "bytes"))
		bytes();
	else if (!strcmp(how, "closing"))
		ask("flows\n", FLOOD);
	else if (!strcmp(how, "sip"))
		sip();
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct rlimit files = {.rlim_cur = 3 * MANY, .rlim_max = 3 * MANY};
	struct rusage used;
	double seconds;

	if (argc != 4)
		return 2;
	path = argv[1];
	seconds = atof(argv[2]);
	end_ns = now_ns() + (uint64_t)(seconds * 1e9);
	setrlimit(RLIMIT_NOFILE, &files);
	if (!do_it(argv[3]))
		return 2;
	getrusage(RUSAGE_SELF, &used);
	printf("{\"connected\":%u,\"cpu_ms_s\":%.0f}\n", connected,
	       ((double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
	        (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000) /
	               seconds);
	return 0;
}
