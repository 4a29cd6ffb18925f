/*
 * A network interface as a port.
 *
 * Small frames come by a ring (ring.h), larger ones by recvmmsg(), all leave by sendmmsg(). A ring
 * alone would have to have places for GSO frames, or deliver with a block timer's delay; without
 * one each look for the next frame is a system call.
 *
 * PACKET_VNET_HDR: with each frame comes a struct virtio_net_hdr that says what the kernel has put
 * off, segmentation (gso_size) and the checksum's completion, and it goes out with the frame again:
 * so frames of up to 64 KiB pass whole. Its offsets count from the frame's first byte, which moves
 * when VLAN tags are put in or taken out; struct packet_offload remembers where they counted from.
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
#include "ring.h"
#include "vnet.h"
#include "../../lb/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SLOT_BYTES = PACKET_FRAME_BYTES,
	/* for data to be at FRAME_HEADROOM and the IPv4 header aligned */
	SLOT_DATA = FRAME_HEADROOM + 2,
	/* 40 % of bulk throughput are lost with the default receive buffer */
	SOCKET_BUFFER_BYTES = 64 << 20,
};

union control {
	char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct packet_port {
	struct port port;
	int fd;
	struct ring ring;
	uint8_t *memory;                               /* PORT_BURST times SLOT_BYTES */
	struct packet_offload slots[PORT_BURST];       /* of frames in the ring */
	struct packet_offload large_slots[PORT_BURST]; /* of frames in memory */
	struct mmsghdr in[PORT_BURST], out[PORT_BURST];
	struct iovec in_iov[PORT_BURST][2], out_iov[PORT_BURST][2];
	struct virtio_net_hdr out_vnet[PORT_BURST];
	union control control[PORT_BURST];
};

static struct packet_port *packet_of(const struct port *port)
{
	return (struct packet_port *)(uintptr_t)port;
}

/* Puts back the VLAN tag that the kernel took out of the frame: status is that of struct
 * tpacket_auxdata or tpacket2_hdr. */
static void restore_tag(struct frame *frame, uint32_t status, uint16_t tci, uint16_t tpid)
{
	if (!(status & TP_STATUS_VLAN_VALID) || frame->len < ETH_TYPE)
		return;
	if (!(status & TP_STATUS_VLAN_TPID_VALID))
		tpid = ETH_P_8021Q;
	frame->data -= FRAME_TAG_BYTES;
	frame->headroom -= FRAME_TAG_BYTES;
	frame->len += FRAME_TAG_BYTES;
	frame->wire_len += FRAME_TAG_BYTES;
	memmove(frame->data, frame->data + FRAME_TAG_BYTES, ETH_TYPE);
	be16_store(frame->data + ETH_TYPE, be16_from(tpid));
	be16_store(frame->data + ETH_TYPE + 2, be16_from(tci));
}

static void read_control(struct msghdr *msg, struct frame *frame)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		restore_tag(frame, aux.tp_status, aux.tp_vlan_tci, aux.tp_vlan_tpid);
	}
}

static void make_frame(const struct packet_port *packet, struct packet_offload *slot, uint8_t *data,
                       uint32_t len, struct frame *ret)
{
	slot->origin = data;
	*ret = (struct frame){
	        .data = data,
	        .len = len,
	        .wire_len = len,
	        .headroom = FRAME_HEADROOM,
	        .side = (uint8_t)packet->port.side,
	        .port_data = slot,
	};
	if (slot->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		ret->flags |= FRAME_CSUM_PARTIAL;
}

/* Makes a frame of a place of the ring; false if the kernel had no room for all of it. */
static bool take(struct packet_port *packet, struct tpacket2_hdr *place,
                 struct packet_offload *slot, struct frame *ret)
{
	if (place->tp_snaplen < place->tp_len) {
		packet->port.counts.missed++;
		return false;
	}
	ring_offload(place, &slot->vnet);
	make_frame(packet, slot, ring_data(place), place->tp_len, ret);
	restore_tag(ret, place->tp_status, place->tp_vlan_tci, place->tp_vlan_tpid);
	return true;
}

/* Makes a frame of received message i; false if it is unusable. */
static bool take_message(struct packet_port *packet, unsigned i, struct frame *ret)
{
	struct msghdr *msg = &packet->in[i].msg_hdr;
	struct packet_offload *slot = &packet->large_slots[i];
	uint32_t len = packet->in[i].msg_len;

	if (msg->msg_flags & MSG_TRUNC || len < sizeof(slot->vnet))
		return false;
	make_frame(packet, slot, packet->memory + (size_t)i * SLOT_BYTES + SLOT_DATA,
	           len - (uint32_t)sizeof(slot->vnet), ret);
	read_control(msg, ret);
	return true;
}

/* Receives n messages, which have come; an error of the interface is told once, before them. */
static unsigned receive_messages(struct packet_port *packet, unsigned n)
{
	int got;

	for (unsigned i = 0; i < n; i++)
		packet->in[i].msg_hdr.msg_controllen = sizeof(packet->control[i]);
	got = recvmmsg(packet->fd, packet->in, n, MSG_DONTWAIT, NULL);
	if (got < 0)
		got = recvmmsg(packet->fd, packet->in, n, MSG_DONTWAIT, NULL);
	return got < 0 ? 0 : (unsigned)got;
}

/*
 * Fills in the large ones of n frames, nlarge of them at large, with what the socket has. Leaves
 * out those that are unusable, and returns how many frames are left.
 */
static unsigned take_large(struct packet_port *packet, struct frame *frames, unsigned n,
                           struct frame *const *large, unsigned nlarge)
{
	unsigned got = receive_messages(packet, nlarge), left = 0;

	for (unsigned i = 0; i < nlarge; i++)
		if (i >= got || !take_message(packet, i, large[i]))
			large[i]->data = NULL;
	for (unsigned i = 0; i < n; i++)
		if (frames[i].data)
			frames[left++] = frames[i];
	packet->port.counts.missed += n - left;
	return left;
}

void packet_copy_frame(const struct frame *frame, struct packet_copy *ret)
{
	const struct packet_offload *offload = frame->port_data;

	ret->frame = *frame;
	ret->frame.data = ret->bytes + FRAME_HEADROOM;
	ret->frame.headroom = FRAME_HEADROOM;
	memcpy(ret->frame.data, frame->data, frame->len);
	if (!offload)
		return;
	ret->offload.vnet = offload->vnet;
	ret->offload.origin = ret->frame.data + (offload->origin - frame->data);
	ret->frame.port_data = &ret->offload;
}

static unsigned receive(struct port *port, struct frame ret[PORT_BURST])
{
	struct packet_port *packet = packet_of(port);
	struct tpacket2_hdr *place;
	struct frame *large[PORT_BURST];
	unsigned n = 0, nlarge = 0;

	ring_release(&packet->ring);
	while (n < PORT_BURST && (place = ring_take(&packet->ring)))
		if (place->tp_status & TP_STATUS_COPY)
			large[nlarge++] = &ret[n++];
		else
			n += take(packet, place, &packet->slots[n], &ret[n]);
	if (nlarge)
		n = take_large(packet, ret, n, large, nlarge);
	port->counts.received += n;
	return n;
}

static void prepare(struct packet_port *packet, unsigned i, const struct frame *frame)
{
	const struct packet_offload *slot = frame->port_data;

	packet->out_vnet[i] = (struct virtio_net_hdr){0};
	if (slot) {
		packet->out_vnet[i] = slot->vnet;
		vnet_move(&packet->out_vnet[i], (int)(slot->origin - frame->data));
	}
	packet->out_iov[i][1] = (struct iovec){.iov_base = frame->data, .iov_len = frame->len};
}

static void send_frames(struct port *port, const struct frame *frames, unsigned n, lb_time now)
{
	struct packet_port *packet = packet_of(port);
	unsigned done = 0;

	(void)now;
	for (unsigned i = 0; i < n; i++)
		prepare(packet, i, &frames[i]);
	while (done < n) {
		int sent = sendmmsg(packet->fd, packet->out + done, n - done, MSG_DONTWAIT);

		if (sent > 0) {
			done += (unsigned)sent;
			port->counts.sent += (unsigned)sent;
		} else {
			done++; /* the first one failed: the others may not */
			port->counts.send_failed++;
		}
	}
}

static void prepare_messages(struct packet_port *packet)
{
	for (unsigned i = 0; i < PORT_BURST; i++) {
		packet->in_iov[i][0] =
		        (struct iovec){&packet->large_slots[i].vnet, sizeof(struct virtio_net_hdr)};
		packet->in_iov[i][1] =
		        (struct iovec){packet->memory + (size_t)i * SLOT_BYTES + SLOT_DATA,
		                       SLOT_BYTES - SLOT_DATA};
		packet->in[i].msg_hdr = (struct msghdr){.msg_iov = packet->in_iov[i],
		                                        .msg_iovlen = 2,
		                                        .msg_control = &packet->control[i]};
		packet->out_iov[i][0] =
		        (struct iovec){&packet->out_vnet[i], sizeof(packet->out_vnet[i])};
		packet->out[i].msg_hdr =
		        (struct msghdr){.msg_iov = packet->out_iov[i], .msg_iovlen = 2};
	}
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_options(int fd, int ifindex)
{
	struct packet_mreq promiscuous = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};
	int err;

	if ((err = set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1)) < 0 ||
	    (err = set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1)) < 0 ||
	    (err = set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) < 0 ||
	    (err = set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER_BYTES)) < 0 ||
	    (err = set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER_BYTES)) < 0)
		return err;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) <
	    0)
		return -errno;
	return 0;
}

/* A socket that is set up, but receives nothing until it is bound: or a negative errno. */
static int open_socket(const struct link *link)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : set_options(fd, link->index);

	if (err < 0 && fd >= 0)
		close(fd);
	return err < 0 ? err : fd;
}

static int bind_socket(int fd, const struct link *link)
{
	const struct sockaddr_ll address = {.sll_family = AF_PACKET,
	                                    .sll_protocol = htons(ETH_P_ALL),
	                                    .sll_ifindex = link->index};

	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

int packet_open(enum side side, const char *name, const struct link *link, struct port **ret)
{
	static const struct port_ops ops = {.receive = receive, .send = send_frames};
	struct packet_port *packet = calloc(1, sizeof(*packet));
	int err;

	if (!packet)
		return -ENOMEM;
	packet->port = (struct port){.ops = &ops, .name = name, .side = side, .mac = link->mac};
	packet->memory = aligned_alloc(4096, (size_t)PORT_BURST * SLOT_BYTES);
	packet->fd = packet->memory ? open_socket(link) : -ENOMEM;
	err = packet->fd < 0 ? packet->fd : ring_open(&packet->ring, packet->fd);
	if (!err)
		err = bind_socket(packet->fd, link);
	if (err < 0) {
		log_error("%s: %s", name, strerror(-err));
		packet_close(&packet->port);
		return err;
	}
	memset(packet->memory, 0, (size_t)PORT_BURST * SLOT_BYTES);
	prepare_messages(packet);
	*ret = &packet->port;
	return 0;
}

/* Puts another socket, which may be a negative errno instead, in the place of the port's. */
static int replace_socket(struct packet_port *packet, int fd)
{
	int err = 0;

	if (fd < 0)
		return fd;
	packet_count_missed(&packet->port);
	ring_close(&packet->ring);
	if (dup3(fd, packet->fd, O_CLOEXEC) < 0)
		err = -errno;
	close(fd);
	return err;
}

int packet_mute(struct port *port)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return replace_socket(packet_of(port), fd < 0 ? -errno : fd);
}

int packet_reopen(struct port *port, const struct link *link)
{
	struct packet_port *packet = packet_of(port);
	int err = replace_socket(packet, open_socket(link));

	if (!err)
		err = ring_open(&packet->ring, packet->fd);
	if (!err)
		err = bind_socket(packet->fd, link);
	if (!err)
		port->mac = link->mac;
	return err;
}

void packet_close(struct port *port)
{
	struct packet_port *packet = packet_of(port);

	ring_close(&packet->ring);
	if (packet->fd >= 0)
		close(packet->fd);
	free(packet->memory);
	free(packet);
}

int packet_fd(const struct port *port)
{
	return packet_of(port)->fd;
}

void packet_take_error(const struct port *port)
{
	int error;
	socklen_t len = sizeof(error);

	getsockopt(packet_of(port)->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

void packet_count_missed(struct port *port)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	if (getsockopt(packet_of(port)->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		port->counts.missed += stats.tp_drops;
}
