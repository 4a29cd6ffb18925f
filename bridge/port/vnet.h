/*
 * What the kernel has left undone of a frame, as struct virtio_net_hdr before the frame says:
 * segmentation, and completing the checksum (the virtio specification's 5.1.6).
 */
#ifndef BRIDGE_VNET_H
#define BRIDGE_VNET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

/* What the kernel said about a received frame, for when it is sent. */
struct packet_offload {
	struct virtio_net_hdr vnet;
	uint8_t *origin; /* the byte from which vnet's offsets count */
};

/*
 * The frame's first byte is now moved bytes further ahead (tags put in), or behind if negative:
 * changes what counts from there. All else stays as the kernel has said it, which it alone
 * understands: gso_type with ECN's bit, gso_size, whatever flags.
 */
void vnet_move(struct virtio_net_hdr *vnet, int moved);

/*
 * Does what the header can't have others do for the frame of len bytes that it is of: SCTP's
 * checksum, and that of what is in a tunnel; vnet says then that nothing is put off any more.
 * Returns false, and changes nothing, if the frame is a merged one in a tunnel: it has to be cut.
 */
bool vnet_complete(struct virtio_net_hdr *vnet, uint8_t *frame, uint32_t len);

#endif
