/*
 * A network interface as a port, by AF_PACKET.
 */
#ifndef BRIDGE_PACKET_H
#define BRIDGE_PACKET_H

#include "../cable/link.h"
#include "port.h"

#include <linux/virtio_net.h>

/*
 * Opens the interface link, named name, for a side and begins to receive all of its frames,
 * promiscuously until packet_close() or the process's end. Returns 0 and sets *ret, or a negative
 * errno with the reason logged.
 */
int packet_open(enum side side, const char *name, const struct link *link, struct port **ret);
void packet_close(struct port *port);

/*
 * Goes over to link, another interface than before. port may not be in use meanwhile; packet_fd()
 * stays the same. Returns 0 or a negative errno.
 */
int packet_reopen(struct port *port, const struct link *link);

/* Receives nothing any more, until packet_reopen(). Returns 0 or a negative errno. */
int packet_mute(struct port *port);

/* What the kernel said about a received frame, for when it is sent. */
struct packet_offload {
	struct virtio_net_hdr vnet;
	uint8_t *origin; /* the byte from which vnet's offsets count */
};

enum {
	/* a GSO frame: 64 KiB of IPv4, the Ethernet header, tags; in whole pages */
	PACKET_FRAME_BYTES = 68 << 10,
};

/* A frame that outlives the burst that it came in, for another thread to send. */
struct packet_copy {
	struct frame frame; /* of bytes and offload */
	struct packet_offload offload;
	uint8_t bytes[PACKET_FRAME_BYTES];
};

/* Copies a received frame, or one without a port's data, if packet_can_copy() says so. */
static inline bool packet_can_copy(const struct frame *frame)
{
	return frame->len <= PACKET_FRAME_BYTES - FRAME_HEADROOM;
}
void packet_copy_frame(const struct frame *frame, struct packet_copy *ret);

/*
 * Readable when a frame has arrived. poll() says POLLERR, again and again and at once, when the
 * interface has gone down or away, until packet_take_error().
 */
int packet_fd(const struct port *port);
void packet_take_error(const struct port *port);

/* Adds to port's counts what the kernel dropped since the last call. */
void packet_count_missed(struct port *port);

#endif
