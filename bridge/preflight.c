/*
 * Checks before start.
 *
 * RFC 5227 would have a host wait for up to 7 s before it uses an address. A wire that is cut for
 * so long at each start is worse than a conflict found late (worker.c logs those), so there are two
 * probes and a third of a second: what answers at all on a LAN answers within milliseconds.
 */
#include "preflight.h"

#include "log.h"
#include "own.h"
#include "packet.h"
#include "../lb/parse.h"
#include "../lb/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PREFLIGHT_PROBES = 2, PREFLIGHT_WAIT_MS = 150 };

/* Fills ret with the interface's flags or MTU by an SIOCGIF... request. */
static int query(const char *name, unsigned long request, struct ifreq *ret)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	*ret = (struct ifreq){0};
	strncpy(ret->ifr_name, name, sizeof(ret->ifr_name) - 1);
	if (ioctl(fd, request, ret) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The interface that this one is enslaved to: a bridge, bond or the like. */
static bool has_master(const char *name, char ret[IF_NAMESIZE])
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/net/%s/master", name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(ret, IF_NAMESIZE, "%.*s", IF_NAMESIZE - 1, base ? base + 1 : target);
	return true;
}

static bool forwards_ipv4(const char *name)
{
	char path[PATH_MAX];
	FILE *file;
	int c;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", name);
	file = fopen(path, "re");
	if (!file)
		return false;
	c = fgetc(file);
	fclose(file);
	return c == '1';
}

static int check_interface(const char *name)
{
	char master[IF_NAMESIZE];
	struct ifreq request;
	int err;

	if (strlen(name) >= IF_NAMESIZE || !if_nametoindex(name)) {
		log_error("%s: no such interface", name);
		return -ENODEV;
	}
	err = query(name, SIOCGIFFLAGS, &request);
	if (err) {
		log_error("%s: %s", name, strerror(-err));
		return err;
	}
	if (!(request.ifr_flags & IFF_UP)) {
		log_error("%s: is down: ip link set %s up", name, name);
		return -ENETDOWN;
	}
	if (has_master(name, master)) {
		log_error("%s: belongs to %s, which would forward its frames as well: "
			  "ip link set %s nomaster", name, master, name);
		return -EBUSY;
	}
	if (forwards_ipv4(name)) {
		log_error("%s: the host routes what arrives there, the VIP's packets too: "
			  "sysctl -w net.ipv4.conf.%s.forwarding=0", name, name);
		return -EBUSY;
	}
	return 0;
}

static int check_mtus(const char *const names[NSIDES])
{
	struct ifreq a, b;
	int err;

	if ((err = query(names[OUTSIDE], SIOCGIFMTU, &a)) || (err = query(names[INSIDE], SIOCGIFMTU, &b))) {
		log_error("%s, %s: MTU: %s", names[OUTSIDE], names[INSIDE], strerror(-err));
		return err;
	}
	if (a.ifr_mtu != b.ifr_mtu) {
		log_error("%s, %s: the MTUs differ, %d and %d: longer frames of one side would not fit the other",
			  names[OUTSIDE], names[INSIDE], a.ifr_mtu, b.ifr_mtu);
		return -EMSGSIZE;
	}
	return 0;
}

static int check_permission(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		int err = -errno;

		log_error("packet socket: %s: run as root, or with CAP_NET_RAW and CAP_NET_ADMIN",
			  strerror(-err));
		return err;
	}
	close(fd);
	return 0;
}

int preflight_interfaces(const char *const names[NSIDES])
{
	int err;

	if ((err = check_interface(names[OUTSIDE])) < 0 || (err = check_interface(names[INSIDE])) < 0 ||
	    (err = check_mtus(names)) < 0)
		return err;
	return check_permission();
}

static bool is_ours(const struct rules *rules, be32 ip)
{
	for (unsigned f = 0; f < rules->nfarms; f++) {
		if (be32_eq(rules->farms[f].vip, ip))
			return true;
		for (unsigned i = 0; i < rules->farms[f].nsnat; i++)
			if (be32_eq(rules->farms[f].snat[i], ip))
				return true;
	}
	return false;
}

/* What a frame that came in before the start says against starting. */
static int judge(struct port *ports[NSIDES], const struct rules *rules, const struct frame *frame)
{
	const char *name = ports[frame->side]->name;
	struct packet packet;
	char ip[INET_ADDRSTRLEN];
	const uint8_t *mac = packet.arp_sender.b;

	parse_frame(frame, &packet);
	if (frame->len < ETH_HEADER_BYTES)
		return 0;
	if (mac_eq(&packet.from.mac, &ports[side_other(frame->side)]->mac)) {
		log_error("%s, %s: are connected to each other: the bridge would be a loop",
			  ports[OUTSIDE]->name, ports[INSIDE]->name);
		return -ELOOP;
	}
	if (packet.kind != PACKET_ARP || !is_ours(rules, packet.tuple.src))
		return 0;
	log_error("%s: %s belongs to %02x:%02x:%02x:%02x:%02x:%02x already", name,
		  inet_ntop(AF_INET, &packet.tuple.src, ip, sizeof(ip)), mac[0], mac[1], mac[2], mac[3],
		  mac[4], mac[5]);
	return -EADDRINUSE;
}

static int judge_arrived(struct port *ports[NSIDES], const struct rules *rules)
{
	struct frame frames[PORT_BURST];
	int err = 0;

	for (unsigned side = 0; side < NSIDES; side++) {
		unsigned n = ports[side]->ops->receive(ports[side], frames);

		for (unsigned i = 0; i < n && !err; i++)
			err = judge(ports, rules, &frames[i]);
	}
	return err;
}

static int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int listen_for_answers(struct port *ports[NSIDES], const struct rules *rules)
{
	struct pollfd fds[NSIDES] = {{.fd = packet_fd(ports[OUTSIDE]), .events = POLLIN},
				     {.fd = packet_fd(ports[INSIDE]), .events = POLLIN}};
	int64_t end = monotonic_ms() + PREFLIGHT_WAIT_MS, left;
	int err = 0;

	while (!err && (left = end - monotonic_ms()) > 0) {
		poll(fds, NSIDES, (int)left);
		err = judge_arrived(ports, rules);
	}
	return err;
}

static void probe(struct port *ports[NSIDES], struct own_maker *maker, be32 ip)
{
	const be32 nobody = {{0}};
	struct frame frame;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct hop everybody = own_broadcast((enum side)side);

		if (own_arp_request(maker, nobody, ip, &everybody, ports[side], &frame))
			port_queue(ports[side], &frame, (lb_time){0});
		port_flush(ports[side], (lb_time){0});
	}
	own_reuse(maker);
}

int preflight_addresses(struct port *ports[NSIDES], const struct rules *rules)
{
	struct own_maker *maker = own_maker_new();
	int err = maker ? 0 : -ENOMEM;

	for (unsigned i = 0; i < PREFLIGHT_PROBES && !err; i++) {
		for (unsigned f = 0; f < rules->nfarms; f++) {
			const struct rules_farm *farm = &rules->farms[f];

			probe(ports, maker, farm->vip);
			for (unsigned s = 0; s < farm->nsnat; s++)
				if (!be32_eq(farm->snat[s], farm->vip))
					probe(ports, maker, farm->snat[s]);
		}
		err = listen_for_answers(ports, rules);
	}
	own_maker_free(maker);
	return err;
}
