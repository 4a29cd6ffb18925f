/*
 * Very many TCP connections that open and then say nothing, without a host at either end: so
 * a million of them take no memory but the load balancer's.
 *
 *   crowd CLIENTS-NAMESPACE/INTERFACE SERVERS-NAMESPACE/INTERFACE MAC VIP PORT PORTS N
 *
 * Clients are 10.1.0.0/16, whose SYNs go to MAC, for VIP and PORT up to PORT + PORTS - 1 in turn.
 * Whoever sends a SYN out of the servers' interface is answered, whatever its address: so the
 * servers must be addresses that no host there has, with their MAC in lb.ini. At most WINDOW are
 * opening at a time. Prints how many have opened; status 1 if it wasn't all of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ETH = 14,
	IP = 20,
	TCP = 20,
	FRAME = ETH + IP + TCP,
	ROOM = 2048,
	SYN = 2,
	ACK = 16,
	WINDOW = 64,
	CLIENTS = 1 << 16,
	FIRST_SPORT = 20000,
	PATIENCE_S = 3,
	RECEIVE_BUFFER = 8 << 20,
};

struct end {
	int fd;
	uint8_t mac[ETH_ALEN];
};

struct crowd {
	struct end clients, servers;
	uint8_t gateway[ETH_ALEN];
	uint32_t vip; /* in network order, as it stands in a frame */
	unsigned port, ports, begun, opened, n;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

/* NAMESPACE/INTERFACE; the process is in that namespace then. */
static void open_end(struct end *end, const char *where)
{
	struct sockaddr_ll self = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	struct ifreq request = {0};
	const char *slash = strchr(where, '/');
	char path[256];
	int ns;

	if (!slash)
		die(where);
	snprintf(path, sizeof(path), "/run/netns/%.*s", (int)(slash - where), where);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(path);
	close(ns);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", slash + 1);
	end->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	if (end->fd < 0 || ioctl(end->fd, SIOCGIFHWADDR, &request) < 0)
		die(where);
	memcpy(end->mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
	self.sll_ifindex = (int)if_nametoindex(slash + 1);
	setsockopt(end->fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){RECEIVE_BUFFER}, sizeof(int));
	if (setsockopt(end->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &(int){1}, sizeof(int)) ||
	    bind(end->fd, (struct sockaddr *)&self, sizeof(self)))
		die(where);
}

/* ---- Frames ---- */

static uint32_t add(uint32_t sum, const uint8_t *p, unsigned n)
{
	for (unsigned i = 0; i < n; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(at, ~sum & 0xffff);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return ntohl(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htonl(v);
	memcpy(p, &v, sizeof(v));
}

/* Addresses and ports are there. */
static void finish(uint8_t *frame, uint32_t seq, uint32_t ack, uint8_t flags)
{
	uint8_t *ip = frame + ETH, *tcp = ip + IP;

	put16(frame + 12, ETH_P_IP);
	memset(ip, 0, 12);
	ip[0] = 0x45;
	put16(ip + 2, IP + TCP);
	ip[6] = 0x40; /* not to be cut */
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	put_sum(ip + 10, add(0, ip, IP));
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	memset(tcp + 12, 0, TCP - 12);
	tcp[12] = TCP / 4 << 4;
	tcp[13] = flags;
	put16(tcp + 14, 0xffff);
	put_sum(tcp + 16, add(add(IPPROTO_TCP + TCP, ip + 12, 8), tcp, TCP));
}

static void send_frame(const struct end *end, const uint8_t *frame)
{
	while (send(end->fd, frame, FRAME, 0) < 0)
		if (errno != EAGAIN && errno != ENOBUFS)
			die("sending");
}

static void begin(struct crowd *crowd)
{
	uint8_t frame[FRAME], *ip = frame + ETH, *tcp = ip + IP;
	const unsigned i = crowd->begun++;

	memcpy(frame, crowd->gateway, ETH_ALEN);
	memcpy(frame + ETH_ALEN, crowd->clients.mac, ETH_ALEN);
	put16(ip + 12, 10 << 8 | 1);
	put16(ip + 14, i % CLIENTS);
	memcpy(ip + 16, &crowd->vip, sizeof(crowd->vip));
	put16(tcp, FIRST_SPORT + i / CLIENTS);
	put16(tcp + 2, crowd->port + i % crowd->ports);
	finish(frame, i * 1000003, 0, SYN);
	send_frame(&crowd->clients, frame);
}

/* Back to where it came from. */
static void turn_round(uint8_t *frame)
{
	uint8_t copy[FRAME];

	memcpy(copy, frame, FRAME);
	memcpy(frame, copy + ETH_ALEN, ETH_ALEN);
	memcpy(frame + ETH_ALEN, copy, ETH_ALEN);
	memcpy(frame + ETH + 12, copy + ETH + 16, 4);
	memcpy(frame + ETH + 16, copy + ETH + 12, 4);
	memcpy(frame + ETH + IP, copy + ETH + IP + 2, 2);
	memcpy(frame + ETH + IP + 2, copy + ETH + IP, 2);
}

/* The next one of TCP without options of IP, that has these flags; false if there is none. */
static bool receive(const struct end *end, uint8_t frame[ROOM], uint8_t flags)
{
	ssize_t n;

	while ((n = recv(end->fd, frame, ROOM, 0)) > 0)
		if (n >= FRAME && frame[ETH] == 0x45 && frame[ETH + 9] == IPPROTO_TCP &&
		    frame[ETH + IP + 13] == flags)
			return true;
	return false;
}

/* What has come at either end is answered. */
static bool answer(struct crowd *crowd)
{
	uint8_t frame[ROOM];
	bool any = false;

	while (receive(&crowd->servers, frame, SYN)) {
		const uint32_t seq = get32(frame + ETH + IP + 4);

		turn_round(frame);
		finish(frame, ~seq, seq + 1, SYN | ACK);
		send_frame(&crowd->servers, frame);
		any = true;
	}
	while (receive(&crowd->clients, frame, SYN | ACK)) {
		const uint32_t seq = get32(frame + ETH + IP + 4);
		const uint32_t ack = get32(frame + ETH + IP + 8);

		turn_round(frame);
		finish(frame, ack, seq + 1, ACK);
		send_frame(&crowd->clients, frame);
		crowd->opened++;
		any = true;
	}
	return any;
}

int main(int argc, char **argv)
{
	struct crowd crowd = {0};
	uint8_t *mac = crowd.gateway;
	time_t moved = time(NULL);

	if (argc != 8 || inet_pton(AF_INET, argv[4], &crowd.vip) != 1 ||
	    sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3,
	           mac + 4, mac + 5) != ETH_ALEN) {
		fputs("crowd: see the head of tests/tools/crowd.c\n", stderr);
		return 2;
	}
	crowd.port = (unsigned)atoi(argv[5]);
	crowd.ports = (unsigned)atoi(argv[6]);
	crowd.n = (unsigned)atoi(argv[7]);
	open_end(&crowd.clients, argv[1]);
	open_end(&crowd.servers, argv[2]);
	while (crowd.opened < crowd.n && time(NULL) - moved < PATIENCE_S) {
		while (crowd.begun < crowd.n && crowd.begun - crowd.opened < WINDOW)
			begin(&crowd);
		if (answer(&crowd))
			moved = time(NULL);
		else
			sched_yield();
	}
	printf("%u\n", crowd.opened);
	return crowd.opened < crowd.n;
}
