/*
 * The header that goes with a frame on a packet socket.
 *
 * Its offsets are meant only if what they are for is put off: else they may be anything, and stay.
 */
#include "vnet.h"

#include <stdint.h>

void vnet_move(struct virtio_net_hdr *vnet, int moved)
{
	int headers = vnet->hdr_len + moved;

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		vnet->csum_start = (uint16_t)(vnet->csum_start + moved);
	/* a hint, how much to keep in one piece: of a frame in one piece it is all of its length */
	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		vnet->hdr_len = headers < UINT16_MAX ? (uint16_t)headers : UINT16_MAX;
}
