/*
 * Two processes that have nothing to do with the wire, one of which makes something and sends it to
 * the other: what a list of all flows does to the processors, without a tmbridge that has flows.
 *
 *   chatters SECONDS US BYTES
 *
 * One computes for US, sends BYTES, and begins again; the other reads. In the end it prints, as
 * JSON, how many ms of processor time both took a second, and how many MB were sent in one.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 1 << 20 };

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void compute(char *bytes, size_t n, int64_t us)
{
	const int64_t until = now_us() + us;

	for (unsigned i = 0; now_us() < until; i++)
		memset(bytes + i * 256 % n, (int)i, 256);
}

static void talk(int fd, size_t n, int64_t us, int64_t until)
{
	static char bytes[BYTES_MAX + 256];

	while (now_us() < until) {
		compute(bytes, n, us);
		if (send(fd, bytes, n, MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
}

static uint64_t hear(int fd)
{
	static char bytes[1 << 16];
	uint64_t sum = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		sum += (uint64_t)n;
	return sum;
}

static double used_ms(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

int main(int argc, char **argv)
{
	int fds[2], seconds, bytes;
	uint64_t sum;

	if (argc != 4)
		return 2;
	seconds = atoi(argv[1]);
	bytes = atoi(argv[3]);
	if (seconds < 1 || bytes < 1 || bytes > BYTES_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return 2;
	if (fork() == 0) {
		close(fds[1]);
		talk(fds[0], (size_t)bytes, atoi(argv[2]), now_us() + (int64_t)seconds * 1000000);
		return 0;
	}
	close(fds[0]);
	sum = hear(fds[1]);
	wait(NULL);
	printf("{\"had\":1,\"of\":1,\"longest_ms\":0,\"cpu_ms_s\":%.0f,\"mb_s\":%.0f}\n",
	       (used_ms(RUSAGE_SELF) + used_ms(RUSAGE_CHILDREN)) / seconds,
	       (double)sum / 1e6 / seconds);
	return 0;
}
