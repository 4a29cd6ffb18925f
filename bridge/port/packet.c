/*
 * A network interface as a port.
 *
 * It receives by one socket (inlet.h) and sends by another (outlet.h): so an error that the one is
 * told of is none of the other's, and the two may be of different interfaces.
 *
 * PACKET_VNET_HDR: with each frame comes a struct virtio_net_hdr that says what the kernel has put
 * off, segmentation (gso_size) and the checksum's completion, and it goes out with the frame again:
 * so frames of up to 64 KiB pass whole.
 *
 * The kernel hands over the outermost VLAN tag beside the frame (struct tpacket_auxdata); it is put
 * back on receipt. Frames that other sockets, or we, send on the interface aren't received.
 *
 * Measured and left out: PACKET_QDISC_BYPASS gives a tenth with four streams between interfaces
 * that have no queue, but where there is one it loses what that would hold; keeping the host's
 * stack from seeing our frames, by a filter behind the packet sockets, gave nothing that could be
 * told from noise.
 *
 * A socket remains bound to the interface that it was bound to, also when that is gone; for another
 * one there is a new socket, which takes the old one's number: whoever polls that needn't know.
 */
#include "packet.h"

#include "../process/log.h"
#include "outlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* 40 % of bulk throughput are lost with the default receive buffer */
	SOCKET_BUFFER_BYTES = 64 << 20,
};

#define TELL_AGAIN_NS (60 * LB_NS_PER_S)

struct packet_port {
	struct port port;
	struct inlet inlet;
	struct outlet outlet;
	unsigned sharers;
	int program;            /* a filter of what is received; -1: none */
	uint64_t told_too_long; /* frames, and when that was said last */
	lb_time told;
};

static struct packet_port *packet_of(const struct port *port)
{
	return (struct packet_port *)(uintptr_t)port;
}

static unsigned receive(struct port *port, struct frame ret[PORT_BURST])
{
	struct packet_port *packet = packet_of(port);
	unsigned n = inlet_receive(&packet->inlet, port->side, ret);

	port->backlog = packet->inlet.backlog;
	port->counts.received += n;
	port->counts.received_bytes += port_bytes(ret, n);
	if (packet->inlet.missed) {
		port->counts.missed += packet->inlet.missed;
		packet->inlet.missed = 0;
	}
	return n;
}

static void send_frames(struct port *port, const struct frame *frames, unsigned n, lb_time now)
{
	unsigned sent = outlet_send(&packet_of(port)->outlet, frames, n);

	(void)now;
	port->counts.sent += sent;
	port->counts.sent_bytes += port_bytes(frames, sent); /* not exact if some weren't sent */
	port->counts.send_failed += n - sent;
}

void packet_copy_frame(const struct frame *frame, struct packet_copy *ret)
{
	const struct packet_offload *offload = frame->port_data;

	ret->frame = *frame;
	ret->frame.data = ret->bytes + FRAME_HEADROOM;
	ret->frame.headroom = FRAME_HEADROOM;
	ret->frame.port_data = NULL;
	memcpy(ret->frame.data, frame->data, frame->len);
	if (offload) {
		ret->offload.vnet = offload->vnet;
		ret->offload.origin = ret->frame.data + (offload->origin - frame->data);
		ret->frame.port_data = &ret->offload;
	}
}

/* ---- Sockets ---- */

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_receive_options(int fd, int ifindex)
{
	struct packet_mreq promiscuous = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
	int err;

	if ((err = set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1)) < 0 ||
	    (err = set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) < 0 ||
	    (err = set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES)) < 0)
		return err;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) <
	    0)
		return -errno;
	return 0;
}

/* A socket that receives nothing until it is bound, with a virtio header: or a negative errno. */
static int new_socket(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1);

	if (err < 0 && fd >= 0)
		close(fd);
	return err < 0 ? err : fd;
}

/* Puts a new socket in the place of *fd, if there is one. Returns 0 or a negative errno. */
static int renew_socket(int *fd)
{
	int new = new_socket(), err = 0;

	if (new < 0)
		return new;
	if (*fd < 0) {
		*fd = new;
		return 0;
	}
	if (dup3(new, *fd, O_CLOEXEC) < 0)
		err = -errno;
	close(new);
	return err;
}

/* Without a protocol it only sends. */
static int bind_socket(int fd, const struct link *link, uint16_t protocol)
{
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
	                                    .sll_protocol = htons(protocol),
	                                    .sll_ifindex = link->index};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int open_inlet(struct packet_port *packet, const struct link *link)
{
	int *fd = &packet->inlet.fd, err;

	if (*fd >= 0)
		packet_count_missed(&packet->port);
	inlet_close(&packet->inlet);
	if ((err = renew_socket(fd)) < 0 || (err = set_receive_options(*fd, link->index)) < 0 ||
	    (err = inlet_open(&packet->inlet, *fd, packet->sharers)) < 0)
		return err;
	if (packet->program >= 0 && set_option(*fd, SOL_SOCKET, SO_ATTACH_BPF, packet->program) < 0)
		packet->program = -1; /* the new socket has none */
	return bind_socket(*fd, link, ETH_P_ALL);
}

static int open_longway(struct longway *way, const struct link *link)
{
	int err;

	longway_close(way);
	if ((err = renew_socket(&way->fd)) < 0 || (err = longway_open(way, way->fd, link->mtu)) < 0)
		return err;
	return bind_socket(way->fd, link, 0);
}

static int open_outlet(struct packet_port *packet, const struct link *link)
{
	int *fd = &packet->outlet.fd, err;

	if ((err = renew_socket(fd)) < 0 ||
	    (err = set_option(*fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES)) < 0 ||
	    (err = bind_socket(*fd, link, 0)) < 0)
		return err;
	return open_longway(&packet->outlet.longway, link);
}

static int open_both(struct packet_port *packet, const struct packet_where *where)
{
	int err = open_outlet(packet, where->send);

	if (!err)
		err = open_inlet(packet, where->receive);
	return err;
}

/* ---- Ports ---- */

static unsigned receive_none(struct port *port, struct frame ret[PORT_BURST])
{
	(void)port;
	(void)ret;
	return 0;
}

static void send_none(struct port *port, const struct frame *frames, unsigned n, lb_time now)
{
	(void)frames;
	(void)now;
	port->counts.send_failed += n;
}

static const struct port_ops no_ops = {.receive = receive_none, .send = send_none};

int packet_open_none(enum side side, struct port **ret)
{
	struct packet_port *packet = calloc(1, sizeof(*packet));

	if (!packet)
		return -ENOMEM;
	packet->port = (struct port){.ops = &no_ops, .name = "none", .side = side, .is_none = true};
	packet->inlet.fd = packet->program = -1;
	*ret = &packet->port;
	return 0;
}

int packet_open(enum side side, const char *name, const struct packet_where *where,
                unsigned sharers, struct port **ret)
{
	static const struct port_ops ops = {.receive = receive, .send = send_frames};
	struct packet_port *packet = calloc(1, sizeof(*packet));
	int err;

	if (!packet)
		return -ENOMEM;
	packet->port =
	        (struct port){.ops = &ops, .name = name, .side = side, .mac = where->send->mac};
	packet->inlet.fd = -1;
	packet->sharers = sharers;
	packet->program = -1;
	err = outlet_init(&packet->outlet);
	if (!err)
		err = inlet_init(&packet->inlet);
	if (!err)
		err = open_both(packet, where);
	if (err < 0) {
		log_error("%s: %s", name, strerror(-err));
		packet_close(&packet->port);
		return err;
	}
	*ret = &packet->port;
	return 0;
}

int packet_set_program(struct port *port, int program)
{
	struct packet_port *packet = packet_of(port);
	int err;

	if (port->is_none || packet->program == program)
		return 0;
	err = set_option(packet->inlet.fd, SOL_SOCKET, SO_ATTACH_BPF, program);
	if (!err)
		packet->program = program;
	return err;
}

bool packet_has_program(const struct port *port)
{
	return packet_of(port)->program >= 0;
}

int packet_set_mtu(struct port *port, const struct link *link)
{
	struct longway *way = &packet_of(port)->outlet.longway;

	if (port->is_none)
		return 0;
	return way->mtu == link->mtu ? 0 : open_longway(way, link);
}

int packet_mute(struct port *port)
{
	struct packet_port *packet = packet_of(port);

	if (port->is_none)
		return 0;
	packet_count_missed(port);
	inlet_close(&packet->inlet);
	return renew_socket(&packet->inlet.fd);
}

int packet_reopen(struct port *port, const struct packet_where *where)
{
	int err = port->is_none ? 0 : open_both(packet_of(port), where);

	if (!err && !port->is_none)
		port->mac = where->send->mac;
	return err;
}

void packet_close(struct port *port)
{
	struct packet_port *packet = packet_of(port);

	if (port->is_none) {
		free(packet);
		return;
	}
	inlet_close(&packet->inlet);
	if (packet->inlet.fd >= 0)
		close(packet->inlet.fd);
	longway_close(&packet->outlet.longway);
	if (packet->outlet.fd >= 0)
		close(packet->outlet.fd);
	if (packet->outlet.longway.fd >= 0)
		close(packet->outlet.longway.fd);
	outlet_free(&packet->outlet);
	inlet_free(&packet->inlet);
	free(packet);
}

int packet_fd(const struct port *port)
{
	return packet_of(port)->inlet.fd;
}

unsigned packet_fds(const struct port *port, int ret[PACKET_FDS])
{
	if (port->is_none)
		return 0;
	ret[0] = packet_of(port)->inlet.fd;
	ret[1] = packet_of(port)->outlet.fd;
	ret[2] = packet_of(port)->outlet.longway.fd;
	return PACKET_FDS;
}

void packet_woken(struct port *port, int events)
{
	struct packet_port *packet = packet_of(port);
	int error;
	socklen_t len = sizeof(error);

	if (events & POLLERR)
		getsockopt(packet->inlet.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (events & POLLIN)
		inlet_woken(&packet->inlet);
}

void packet_look(struct port *port, lb_time now)
{
	struct packet_port *packet = packet_of(port);
	uint64_t n = __atomic_load_n(&packet->inlet.too_long, __ATOMIC_RELAXED);
	struct details details = {.n = 0};

	if (n == packet->told_too_long ||
	    (packet->told.ns && now.ns - packet->told.ns < TELL_AGAIN_NS))
		return;
	details_number(&details, "count", n - packet->told_too_long);
	log_with(LOG_WARNING, &details,
	         "%s: %" PRIu64 " merged frames of more than 64 KiB are lost (BIG TCP): ip link "
	         "set DEVICE gso_max_size 65536 gso_ipv4_max_size 65536 gro_max_size 65536 "
	         "gro_ipv4_max_size 65536, there and where they come from",
	         port->name, n - packet->told_too_long);
	packet->told_too_long = n;
	packet->told = now;
}

void packet_count_missed(struct port *port)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (port->is_none)
		return;
	if (getsockopt(packet_fd(port), SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		port->counts.missed += stats.tp_drops;
}
