/*
 * The ring of an AF_PACKET socket: small frames as the kernel puts them into memory that we share.
 */
#ifndef BRIDGE_RING_H
#define BRIDGE_RING_H

#include "../../lb/frame.h"

#include <linux/if_packet.h>
#include <linux/virtio_net.h>

struct ring {
	uint8_t *places;
	uint32_t next; /* the place to look at */
	uint32_t held; /* how many before it aren't the kernel's again */
};

/*
 * Gives socket fd, which isn't bound yet and has all other options, a ring. Returns 0 or a negative
 * errno; then there is nothing to close.
 */
int ring_open(struct ring *ring, int fd);
void ring_close(struct ring *ring);

/*
 * The next place that holds a frame, or NULL. It stays valid until ring_release(). Its tp_status
 * says by TP_STATUS_COPY if the frame was too large, and is to be received from the socket.
 */
struct tpacket2_hdr *ring_take(struct ring *ring);

/* Gives all places that were taken back to the kernel. */
void ring_release(struct ring *ring);

/* The frame's bytes, tp_snaplen of tp_len, with FRAME_HEADROOM before them; its IPv4 header is
 * aligned. */
static inline uint8_t *ring_data(struct tpacket2_hdr *place)
{
	return (uint8_t *)place + place->tp_mac;
}

/* What the kernel says about the frame; it stands where the frame's headroom is. */
static inline void ring_offload(struct tpacket2_hdr *place, struct virtio_net_hdr *ret)
{
	memcpy(ret, ring_data(place) - sizeof(*ret), sizeof(*ret));
}

#endif
