/*
 * Checks before start.
 *
 * RFC 5227, and RFC 4862 of IPv6, would have a host wait for up to 7 s before it uses an address. A
 * wire that is cut for so long at each start is worse than a conflict found late (worker.c logs
 * those), so there are two probes and a third of a second: what answers at all on a LAN answers
 * within milliseconds.
 */
#include "preflight.h"

#include "../cable/link.h"
#include "../process/log.h"
#include "own.h"
#include "../port/packet.h"
#include "../process/text.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PREFLIGHT_PROBES = 2, PREFLIGHT_WAIT_MS = 150 };

static int check_interface(struct mnl_socket *socket, const char *name, bool may_be_down,
                           struct link *ret)
{
	char master[IF_NAMESIZE];
	int err = link_query(socket, name, ret);

	if (err < 0) {
		log_error("%s: %s", name, err == -ENODEV ? "no such interface" : strerror(-err));
		return err;
	}
	if (!ret->ethernet) {
		log_error("%s: not an Ethernet interface", name);
		return -EPROTOTYPE;
	}
	if (!ret->up && !may_be_down) {
		log_error("%s: is down: ip link set %s up", name, name);
		return -ENETDOWN;
	}
	if (ret->master) {
		log_error("%s: belongs to %s, which would forward its frames as well: "
		          "ip link set %s nomaster",
		          name,
		          if_indextoname((unsigned)ret->master, master) ? master
		                                                        : "another interface",
		          name);
		return -EBUSY;
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

static int check_mtus(const char *const names[NSIDES], const struct link links[NSIDES])
{
	if (links[OUTSIDE].mtu == links[INSIDE].mtu)
		return 0;
	log_error("%s, %s: the MTUs differ, %u and %u: longer frames of one side would not fit the "
	          "other",
	          names[OUTSIDE], names[INSIDE], links[OUTSIDE].mtu, links[INSIDE].mtu);
	return -EMSGSIZE;
}

/* An interface has one index and any number of names. */
static int check_distinct(const char *const names[NSIDES], const struct link links[NSIDES])
{
	if (links[OUTSIDE].index != links[INSIDE].index)
		return 0;
	log_error("%s, %s: are one interface, by two of its names", names[OUTSIDE], names[INSIDE]);
	return -EINVAL;
}

int preflight_interfaces(const char *const names[NSIDES], bool may_be_down)
{
	struct link links[NSIDES];
	struct mnl_socket *socket;
	int err = link_open(0, &socket);

	if (err < 0) {
		log_error("rtnetlink: %s", strerror(-err));
		return err;
	}
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = check_interface(socket, names[side], may_be_down, &links[side]);
	mnl_socket_close(socket);
	if (!err)
		err = check_distinct(names, links);
	if (!err)
		err = check_mtus(names, links);
	return err ? err : check_permission();
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

/* The address, and by which MAC, that an ARP or neighbour discovery packet claims to have; false if
 * it claims none that rules know. */
static bool find_claim(const struct rules *rules, const struct frame *frame,
                       const struct packet *packet, be32 *ret, struct mac *ret_mac)
{
	const struct ip6 *claimed;
	struct nd nd;

	if (packet->kind == PACKET_ARP) {
		*ret = packet->tuple.src;
		*ret_mac = packet->arp_sender;
		return true;
	}
	if (packet->kind != PACKET_IPV6 || !parse_nd(frame, packet, &nd))
		return false;
	claimed = nd.is_solicitation ? packet->src6 : nd.target;
	*ret_mac = nd.mac;
	for (uint32_t i = 0; i < rules->nnames; i++) {
		*ret = name_of(i);
		if (ip6_eq(&rules->names[i], claimed))
			return true;
	}
	return false;
}

/* What a frame that came in before the start says against starting. */
static int judge(struct port *ports[NSIDES], const struct rules *rules, const struct frame *frame)
{
	const char *name = ports[frame->side]->name;
	struct packet packet;
	char ip[TEXT_ADDRESS_BYTES];
	struct mac mac;
	be32 claimed;

	parse_frame(frame, &packet);
	if (frame->len < ETH_HEADER_BYTES)
		return 0;
	if (mac_eq(&packet.from.mac, &ports[side_other(frame->side)]->mac)) {
		log_error("%s, %s: are connected to each other: the bridge would be a loop",
		          ports[OUTSIDE]->name, ports[INSIDE]->name);
		return -ELOOP;
	}
	if (!find_claim(rules, frame, &packet, &claimed, &mac) || !is_ours(rules, claimed))
		return 0;
	log_error("%s: %s belongs to %02x:%02x:%02x:%02x:%02x:%02x already", name,
	          text_address(rules, claimed, ip), mac.b[0], mac.b[1], mac.b[2], mac.b[3],
	          mac.b[4], mac.b[5]);
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

/* Asks whether somebody has the address, in the name of nobody. */
static bool make_probe(const struct rules *rules, struct own_maker *maker, be32 ip,
                       const struct hop *to, const struct port *port, struct frame *ret)
{
	const be32 nobody = {{0}};

	return name_is_ipv6(ip)
	               ? own_nd_solicitation(maker, NULL, rules_ip6(rules, ip), to, port, ret)
	               : own_arp_request(maker, nobody, ip, to, port, ret);
}

static void probe(struct port *ports[NSIDES], const struct rules *rules, struct own_maker *maker,
                  be32 ip, uint16_t vlan)
{
	struct frame frame;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct hop everybody = own_broadcast((enum side)side, vlan);

		if (make_probe(rules, maker, ip, &everybody, ports[side], &frame))
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

			probe(ports, rules, maker, farm->vip, farm->vlan);
			for (unsigned s = 0; s < farm->nsnat; s++)
				if (!be32_eq(farm->snat[s], farm->vip))
					probe(ports, rules, maker, farm->snat[s], farm->vlan);
		}
		err = listen_for_answers(ports, rules);
	}
	own_maker_free(maker);
	return err;
}
