/*
 * Asks a running tmbridge the same each second, as cheaply as can be: what is measured then is what
 * answers cost, not what it costs to show them.
 *
 *   asks SOCKET SECONDS FILTER MS REQUEST...
 *
 * A turn begins with each second: each request is sent after the answer to the one before, and then
 * a capture of what FILTER lets pass, of MS, unless that is 0. It was had if each answer ended
 * well, and all of it before the second was over; else the next one begins with the second after.
 * In the end it prints, as JSON, how many turns were had, the longest one in ms, and how many bytes
 * of answers and ms of processor time a turn took.
 */
#include <pcap/pcap.h>
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

enum { BYTES = 1 << 16, REQUEST_BYTES = 4096, MS_PER_S = 1000, ANSWER_MS = 60000 };

static const char *path;
static uint64_t bytes_read;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / 1000000;
}

static void sleep_until(int64_t ms)
{
	const struct timespec at = {.tv_sec = ms / MS_PER_S, .tv_nsec = ms % MS_PER_S * 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static int reach(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	perror(path);
	exit(1);
}

static bool say(int fd, const char *request)
{
	char line[REQUEST_BYTES];
	const int n = snprintf(line, sizeof(line), "%s\n", request);

	return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Reads until an answer has ended, or it is time; true if it ended well. */
static bool hear(int fd, int64_t until)
{
	static const char end[] = "{\"end\":true,\"exit\":0}\n";
	static char bytes[sizeof(end) + BYTES];
	size_t kept = 0;

	for (int64_t now; (now = now_ms()) < until;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&wait, 1, (int)(until - now)) <= 0)
			return false;
		n = read(fd, bytes + kept, BYTES);
		if (n <= 0)
			return false;
		bytes_read += (uint64_t)n;
		kept += (size_t)n;
		if (kept >= sizeof(end) - 1 &&
		    !memcmp(bytes + kept - (sizeof(end) - 1), end, sizeof(end) - 1))
			return true;
		if (kept >= sizeof(end)) { /* what the end may begin with */
			memmove(bytes, bytes + kept - sizeof(end), sizeof(end));
			kept = sizeof(end);
		}
	}
	return false;
}

static void compile(const char *filter, char request[REQUEST_BYTES])
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, BYTES);
	struct bpf_program program;
	int at = sprintf(request, "capture --bpf=");

	if (!pcap || pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		fprintf(stderr, "%s: %s\n", filter, pcap ? pcap_geterr(pcap) : "no memory");
		exit(2);
	}
	for (unsigned i = 0; i < program.bf_len && at + 17 < REQUEST_BYTES; i++) {
		const struct bpf_insn *insn = &program.bf_insns[i];

		at += sprintf(request + at, "%04x%02x%02x%08x", insn->code, insn->jt, insn->jf,
		              insn->k);
	}
	pcap_close(pcap);
}

/* It has no end of its own: who leaves ends it. */
static bool capture(const char *request, int64_t ms)
{
	const int64_t until = now_ms() + ms;
	const uint64_t before = bytes_read;
	const int fd = reach();
	bool good = say(fd, request);

	hear(fd, until);
	good &= now_ms() >= until && bytes_read > before;
	close(fd);
	return good;
}

static bool take_turn(int fd, int nrequests, char **requests)
{
	bool good = true;

	for (int i = 0; i < nrequests && good; i++)
		good = say(fd, requests[i]) && hear(fd, now_ms() + ANSWER_MS);
	return good;
}

static double used_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * MS_PER_S +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

int main(int argc, char **argv)
{
	char request[REQUEST_BYTES];
	int seconds, had = 0, fd;
	int64_t begun, longest = 0;

	if (argc < 5)
		return 2;
	path = argv[1];
	seconds = atoi(argv[2]);
	compile(argv[3], request);
	fd = reach();
	begun = now_ms();
	for (int64_t turn = 0, took; turn < seconds; turn += 1 + took / MS_PER_S) {
		sleep_until(begun + turn * MS_PER_S);
		const bool good =
		        take_turn(fd, argc - 5, argv + 5) && capture(request, atoi(argv[4]));

		took = now_ms() - begun - turn * MS_PER_S;
		had += good && took < MS_PER_S;
		longest = took > longest ? took : longest;
		if (!good) { /* what is left of an answer is none of the next turn's */
			close(fd);
			fd = reach();
		}
	}
	printf("{\"had\":%d,\"of\":%d,\"longest_ms\":%lld,\"bytes\":%llu,\"cpu_ms\":%.1f}\n", had,
	       seconds, (long long)longest, (unsigned long long)bytes_read / (unsigned)seconds,
	       used_ms() / seconds);
	return 0;
}
