/*
 * packet(7) sends no frame that is longer than the MTU and an Ethernet header, and allows one VLAN
 * tag on top if it is 802.1Q's. The kernel's bridge passes one tag more, and looks at none: with an
 * MTU of 1500, frames of 1518 bytes, and 1522 with a tag, as they are with 802.1ad, two tags, or an
 * MPLS label. It is only send() that has this rule. A ring of frames to send (PACKET_TX_RING) whose
 * frames have a virtio header hasn't: there the length is the sender's own affair, and here it is
 * judged as the bridge does it.
 *
 * So these frames, which are few, go by a ring of their own, one at a time. (The other way would be
 * to raise the interface's MTU, which on some network cards takes the link down, and which a killed
 * process would leave behind.)
 *
 * A place whose frame the kernel hasn't looked at is still as we left it: then it is used again. In
 * any other case the kernel goes on to the next one, and so do we.
 */
#include "longway.h"

#include "../../lb/wire.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
	RING_BYTES = 256 << 10,
	PLACE_BYTES_MIN = 2048,
	/* where the kernel looks for the virtio header: behind its own */
	PLACE_VNET = sizeof(struct tpacket2_hdr),
	PLACE_FRAME = PLACE_VNET + sizeof(struct virtio_net_hdr),
};

static_assert(PLACE_VNET % TPACKET_ALIGNMENT == 0, "else the kernel would round it up");

/* A tag that the kernel takes off a frame on receipt. */
static bool is_tag(const uint8_t *ethertype)
{
	uint16_t value = be16_get(be16_load(ethertype));

	return value == ETHERTYPE_8021Q || value == ETHERTYPE_8021AD;
}

bool longway_fits(const struct longway *way, const uint8_t *frame, uint32_t len)
{
	uint32_t most = way->mtu + ETH_HEADER_BYTES + LONGWAY_EXTRA_BYTES;

	if (len >= ETH_HEADER_BYTES && is_tag(frame + ETH_TYPE))
		most += FRAME_TAG_BYTES;
	return len <= most;
}

static uint32_t place_bytes_for(uint32_t mtu)
{
	uint32_t need = (uint32_t)PLACE_FRAME + ETH_HEADER_BYTES + mtu + LONGWAY_EXTRA_BYTES +
	                FRAME_TAG_BYTES;
	uint32_t bytes = PLACE_BYTES_MIN;

	while (bytes < need)
		bytes *= 2;
	return bytes;
}

static int set_option(int fd, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, SOL_PACKET, option, value, len) < 0 ? -errno : 0;
}

int longway_open(struct longway *way, int fd, uint32_t mtu)
{
	const uint32_t bytes = place_bytes_for(mtu);
	const struct tpacket_req request = {.tp_block_size = RING_BYTES,
	                                    .tp_block_nr = 1,
	                                    .tp_frame_size = bytes,
	                                    .tp_frame_nr = RING_BYTES / bytes};
	const int version = TPACKET_V2, lose_bad_ones = 1;
	void *at;
	int err;

	if (bytes > RING_BYTES)
		return -EMSGSIZE;
	if ((err = set_option(fd, PACKET_VERSION, &version, sizeof(version))) < 0 ||
	    (err = set_option(fd, PACKET_LOSS, &lose_bad_ones, sizeof(lose_bad_ones))) < 0 ||
	    (err = set_option(fd, PACKET_TX_RING, &request, sizeof(request))) < 0)
		return err;
	at = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*way = (struct longway){.fd = fd, .ring = at, .place_bytes = bytes, .mtu = mtu};
	return 0;
}

void longway_close(struct longway *way)
{
	if (way->ring)
		munmap(way->ring, RING_BYTES);
	way->ring = NULL;
}

static struct tpacket2_hdr *place_at(const struct longway *way)
{
	uint32_t places = RING_BYTES / way->place_bytes;

	return (struct tpacket2_hdr *)(void *)(way->ring +
	                                       (size_t)(way->next % places) * way->place_bytes);
}

/* With hdr_len the whole frame is copied, so that nobody looks at the place any more. */
static void fill(struct tpacket2_hdr *place, const struct virtio_net_hdr *vnet,
                 const uint8_t *frame, uint32_t len)
{
	struct virtio_net_hdr header = *vnet;

	header.hdr_len = (uint16_t)len;
	memcpy((uint8_t *)place + PLACE_VNET, &header, sizeof(header));
	memcpy((uint8_t *)place + PLACE_FRAME, frame, len);
	place->tp_len = (uint32_t)sizeof(header) + len;
	__atomic_store_n(&place->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
}

static uint32_t status_of(const struct tpacket2_hdr *place)
{
	return __atomic_load_n(&place->tp_status, __ATOMIC_ACQUIRE);
}

int longway_send(struct longway *way, const struct virtio_net_hdr *vnet, const uint8_t *frame,
                 uint32_t len)
{
	struct tpacket2_hdr *place;
	int err;

	if (!way->ring)
		return -ENODEV;
	if (len + PLACE_FRAME > way->place_bytes)
		return -EMSGSIZE;
	place = place_at(way);
	if (status_of(place) & (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING))
		return -EAGAIN;
	fill(place, vnet, frame, len);
	err = send(way->fd, NULL, 0, MSG_DONTWAIT) < 0 ? -errno : 0;
	if (status_of(place) == TP_STATUS_SEND_REQUEST)
		__atomic_store_n(&place->tp_status, TP_STATUS_AVAILABLE, __ATOMIC_RELEASE);
	else
		way->next++;
	return err;
}
