/*
 * Sending frames that are longer than a packet socket takes, but no longer than the kernel's bridge
 * would send.
 */
#ifndef BRIDGE_LONGWAY_H
#define BRIDGE_LONGWAY_H

#include "../../lb/frame.h"

#include <linux/virtio_net.h>

struct longway {
	int fd;               /* the socket, which is the caller's */
	uint8_t *ring;        /* shared with the kernel; NULL: there is none, and nothing is sent */
	uint32_t place_bytes; /* a power of two */
	uint32_t next;        /* the place to use */
	uint32_t mtu;         /* bytes, of the interface */
};

enum {
	/* What a frame may have beyond the MTU and its Ethernet header: a VLAN tag in the frame,
	 * as for the kernel's bridge (is_skb_forwardable()), for which another one is beside it. */
	LONGWAY_EXTRA_BYTES = FRAME_TAG_BYTES,
};

/*
 * Gives socket fd, which isn't bound yet and has a virtio header, room for frames as long as mtu
 * says, and sends by it from now on. Returns 0 or a negative errno; then there is nothing to close.
 */
int longway_open(struct longway *way, int fd, uint32_t mtu);
void longway_close(struct longway *way);

/* If the kernel's bridge would send a frame of len bytes, its outermost tag included, that begins
 * so. */
bool longway_fits(const struct longway *way, const uint8_t *frame, uint32_t len);

/* Sends a frame. Returns 0 or a negative errno. */
int longway_send(struct longway *way, const struct virtio_net_hdr *vnet, const uint8_t *frame,
                 uint32_t len);

#endif
