/*
 * A virtual machine at the other end of an interface (a tap), whose frames are merged from several,
 * or lack their checksums.
 *
 *   merged INTERFACE
 *
 * Makes the interface in this network namespace, sets it up, and sends a frame for each line from
 * stdin: HEADER... tcp|udp|sctp PAYLOAD-BYTES SEGMENT-BYTES. Says "ready" first and "sent" for each
 * line. With its end the interface is gone.
 *
 * HEADER is, from the outside to the inside: tag, mpls, pppoe, ipv4, ipv6, gre, gre-key, gre-sum,
 * gretap, vxlan, vxlan-sum. Each header says what follows, and how long it is as a whole; sums are
 * right where they don't depend on what is put off. SEGMENT-BYTES 0 is a frame that isn't merged.
 * The sum of what is innermost is only the pseudo header's, and the virtio header says where it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_BYTES = 1 << 17, HEADERS_MAX = 16, GSO_UDP_L4 = 5 };

static uint8_t message[FRAME_BYTES];
static uint8_t *const frame = message + sizeof(struct virtio_net_hdr);
static uint32_t len;

struct header {
	char kind;      /* '4', '6', 'u', 'g', 'p', 't' (TCP), 's' (SCTP), or 0 */
	uint32_t at;    /* of frame */
	uint32_t patch; /* where it says what follows, 16 bits or, in IP headers, 8 */
};

static struct header headers[HEADERS_MAX];
static unsigned nheaders;

static void die(const char *where)
{
	fprintf(stderr, "merged: %s: %s\n", where, strerror(errno));
	exit(1);
}

static void put16(uint32_t at, uint32_t value)
{
	frame[at] = (uint8_t)(value >> 8);
	frame[at + 1] = (uint8_t)value;
}

/* Says to the header before what follows: its EtherType, its protocol number. */
static void follow(uint32_t ethertype, uint8_t protocol)
{
	const struct header *last = &headers[nheaders - 1];

	if (last->kind == '4' || last->kind == '6')
		frame[last->patch] = protocol;
	else if (last->kind == 'p')
		put16(last->patch, ethertype == ETHERTYPE_IP ? 0x21 : 0x57);
	else if (last->patch)
		put16(last->patch, ethertype);
}

static void add(char kind, const void *bytes, uint32_t n, uint32_t patch)
{
	headers[nheaders++] = (struct header){kind, len, patch ? len + patch : 0};
	memcpy(frame + len, bytes, n);
	len += n;
}

static void add_ethernet(uint8_t last)
{
	uint8_t bytes[14] = {2, 2, 2, 2, 2, last, 2, 2, 2, 2, 2, (uint8_t)(last + 1)};

	add(0, bytes, sizeof(bytes), 12);
}

static void add_ip(bool v6, uint8_t number)
{
	uint8_t v4bytes[20] = {0x45, 0, 0,   0, 1, 0,      0x40, 0, 64, 0,
	                       0,    0, 192, 0, 2, number, 192,  0, 2,  (uint8_t)(number + 1)};
	uint8_t v6bytes[40] = {0x60};

	follow(v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP, v6 ? 41 : 4);
	if (!v6) {
		add('4', v4bytes, sizeof(v4bytes), 9);
		return;
	}
	v6bytes[7] = 64;
	memcpy(v6bytes + 8, "\x20\x01\x0d\xb8", 4);
	memcpy(v6bytes + 24, "\x20\x01\x0d\xb8", 4);
	v6bytes[23] = number;
	v6bytes[39] = (uint8_t)(number + 1);
	add('6', v6bytes, sizeof(v6bytes), 6);
}

static void add_gre(uint8_t flags)
{
	uint8_t bytes[12] = {flags};
	uint32_t n = 4u + (flags & 0x80 ? 4u : 0u) + (flags & 0x20 ? 4u : 0u);

	follow(0, 47);
	add('g', bytes, n, 2);
}

/* A sum that isn't 0 is one that has to be right in the end. */
static void add_udp(uint16_t port, bool sum)
{
	uint8_t bytes[8] = {0xc0, 0, (uint8_t)(port >> 8), (uint8_t)port, 0, 0, sum, 0};

	follow(0, 17);
	add('u', bytes, sizeof(bytes), 0);
}

static bool add_header(const char *name)
{
	if (!strcmp(name, "tag")) {
		follow(ETHERTYPE_VLAN, 0);
		add(0, "\0\7\0", 4, 2);
	} else if (!strcmp(name, "mpls")) {
		follow(0x8847, 137);
		add(0, "\0\1\1\100", 4, 0);
	} else if (!strcmp(name, "pppoe")) {
		follow(0x8864, 0);
		add('p', "\x11\0\0\1\0\0\0", 8, 6);
	} else if (!strcmp(name, "ipv4") || !strcmp(name, "ipv6")) {
		add_ip(name[3] == '6', (uint8_t)(10 * nheaders));
	} else if (!strncmp(name, "gre", 3)) {
		add_gre(!strcmp(name, "gre-key") ? 0x20 : !strcmp(name, "gre-sum") ? 0x80 : 0);
		if (!strcmp(name, "gretap")) {
			follow(0x6558, 0);
			add_ethernet(0x30);
		}
	} else if (!strncmp(name, "vxlan", 5)) {
		add_udp(4789, !strcmp(name, "vxlan-sum"));
		add(0, "\x08\0\0\0\0\0\1", 8, 0);
		add_ethernet(0x40);
	} else {
		return false;
	}
	return true;
}

static uint32_t sum(const uint8_t *bytes, uint32_t n, uint32_t begin)
{
	for (uint32_t i = 0; i < n; i++)
		begin += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (begin >> 16)
		begin = (begin & 0xffff) + (begin >> 16);
	return begin;
}

static uint32_t pseudo_sum(uint8_t protocol, uint32_t bytes)
{
	for (unsigned i = nheaders; i--;) {
		const uint8_t *at = frame + headers[i].at;

		if (headers[i].kind == '4')
			return sum(at + 12, 8, protocol + bytes);
		if (headers[i].kind == '6')
			return sum(at + 8, 32, protocol + bytes);
	}
	return 0;
}

static void add_l4(const char *name, uint32_t payload, struct virtio_net_hdr *vnet)
{
	static const uint8_t tcp[20] = {
	        0x30, 0x39, 0x13, 0xc5, 0xff, 0xff, 0xf8, 0,
	        0,    0,    0,    1,    0x50, 0x99, 1,    0}; /* CWR, ACK, PSH, FIN */
	static const uint8_t udp[8] = {0x30, 0x39, 0x13, 0xc5}, sctp[12] = {0x30, 0x39, 0x13, 0xc5};
	uint32_t at = len;
	uint8_t protocol = *name == 't' ? 6 : *name == 'u' ? 17 : 132;

	follow(0, protocol);
	vnet->csum_start = (uint16_t)len;
	if (*name == 't')
		add('t', tcp, sizeof(tcp), 0);
	else if (*name == 'u')
		add('u', udp, sizeof(udp), 0);
	else
		add('s', sctp, sizeof(sctp), 0);
	vnet->hdr_len = (uint16_t)len;
	vnet->csum_offset = *name == 't' ? 16 : *name == 'u' ? 6 : 8;
	for (uint32_t i = 0; i < payload; i++)
		frame[len++] = (uint8_t)(i * 7 + i / 256);
	if (*name != 's')
		put16(at + vnet->csum_offset, pseudo_sum(protocol, len - at));
}

static void finish_lengths(void)
{
	for (unsigned i = 0; i < nheaders; i++) {
		uint32_t at = headers[i].at, bytes = len - at;

		if (headers[i].kind == '4') {
			put16(at + 2, bytes);
			put16(at + 10, ~sum(frame + at, 20, 0));
		} else if (headers[i].kind == '6') {
			put16(at + 4, bytes - 40);
		} else if (headers[i].kind == 'u') {
			put16(at + 4, bytes);
		} else if (headers[i].kind == 'p') {
			put16(at + 4, bytes - 6);
		}
	}
}

static bool is_over_ipv6(void)
{
	for (unsigned i = nheaders; i--;)
		if (headers[i].kind == '4' || headers[i].kind == '6')
			return headers[i].kind == '6';
	return false;
}

static int tap_open(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), control;

	strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		die(name);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	request.ifr_flags = IFF_UP;
	if (control < 0 || ioctl(control, SIOCSIFFLAGS, &request) < 0)
		die(name);
	close(control);
	return fd;
}

/* Sends the frame that the words of a line describe. */
static bool send_frame(int fd, char *line)
{
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
	const char *word = strtok(line, " \n"), *payload, *segment;

	len = nheaders = 0;
	add_ethernet(0xaa);
	while (word && nheaders < HEADERS_MAX - 4 && add_header(word))
		word = strtok(NULL, " \n");
	payload = strtok(NULL, " \n");
	segment = strtok(NULL, " \n");
	if (!word || !payload || !segment)
		return false;
	add_l4(word, (uint32_t)atoi(payload), &vnet);
	finish_lengths();
	vnet.gso_size = (uint16_t)atoi(segment);
	if (vnet.gso_size)
		vnet.gso_type = *word == 'u'     ? GSO_UDP_L4
		                : is_over_ipv6() ? VIRTIO_NET_HDR_GSO_TCPV6
		                                 : VIRTIO_NET_HDR_GSO_TCPV4;
	memcpy(message, &vnet, sizeof(vnet));
	return write(fd, message, sizeof(vnet) + len) > 0;
}

int main(int argc, char **argv)
{
	char line[256];
	int fd;

	if (argc != 2) {
		fputs("merged: see the head of tests/tools/merged.c\n", stderr);
		return 2;
	}
	fd = tap_open(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (!send_frame(fd, line))
			die(line);
		puts("sent");
	}
	return 0;
}
