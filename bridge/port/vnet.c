/*
 * The header that goes with a frame on a packet socket.
 *
 * Its offsets count only if what they are for has been left undone; else they may be anything, and
 * stay as they are.
 *
 * It can describe one checksum, that of TCP or UDP. The kernel uses it for SCTP's as well, which is
 * a CRC, and doesn't mention tunnels: what has come in one would be sent as if the checksum
 * belonged to the frame's first IP header, where a network card may look for it.
 */
#include "vnet.h"

#include "crc32c.h"
#include "layers.h"
#include "../../lb/csum.h"

enum {
	TCP_SUM = 16, /* where the sums are in their headers */
	UDP_SUM = 6,
	SCTP_SUM = 8,
	SCTP_SUM_BYTES = 4,
};

void vnet_move(struct virtio_net_hdr *vnet, int moved)
{
	int headers = vnet->hdr_len + moved;

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		vnet->csum_start = (uint16_t)(vnet->csum_start + moved);
	/* a hint, how much to keep in one piece: of a frame in one piece it is all of its length */
	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		vnet->hdr_len = headers < UINT16_MAX ? (uint16_t)headers : UINT16_MAX;
}

static void sum_up(uint8_t *from, uint32_t bytes, uint16_t offset)
{
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, from, bytes));

	csum_store(from + offset, sum || offset != UDP_SUM ? sum : UINT16_MAX);
}

static void sum_up_sctp(uint8_t *from, uint32_t bytes)
{
	uint32_t crc;

	memset(from + SCTP_SUM, 0, SCTP_SUM_BYTES);
	crc = crc32c(from, bytes);
	for (unsigned i = 0; i < SCTP_SUM_BYTES; i++)
		from[SCTP_SUM + i] = (uint8_t)(crc >> 8 * i);
}

bool vnet_complete(struct virtio_net_hdr *vnet, uint8_t *frame, uint32_t len)
{
	uint32_t start = vnet->csum_start, offset = vnet->csum_offset;

	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	if ((offset == TCP_SUM || offset == UDP_SUM) && layers_is_plain(frame, len, start))
		return true;
	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return false;
	if (offset == SCTP_SUM && start + offset + SCTP_SUM_BYTES <= len)
		sum_up_sctp(frame + start, len - start);
	else if (start + offset + sizeof(uint16_t) <= len)
		sum_up(frame + start, len - start, (uint16_t)offset);
	else
		return true; /* the kernel will refuse it */
	*vnet = (struct virtio_net_hdr){0};
	return true;
}
