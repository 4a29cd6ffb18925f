/*
 * A merged frame, cut up into the frames that it was merged from: segmentation as the kernel or a
 * network card does it, also of what is in tunnels.
 */
#ifndef BRIDGE_SEGMENTS_H
#define BRIDGE_SEGMENTS_H

#include "layers.h"

#include <linux/virtio_net.h>

struct segments {
	const uint8_t *frame; /* the caller's, which must stay */
	uint32_t len;
	struct layers layers;
	uint32_t headers; /* bytes of each segment before its payload */
	uint32_t size;    /* bytes of payload in each but the last one */
	uint32_t done;    /* bytes of payload that are in segments already */
};

/*
 * Prepares to cut a frame of len bytes; vnet is what the kernel said of it, offsets counting from
 * its first byte. Returns false if it can't be cut: it isn't of TCP or UDP, or is in a tunnel that
 * isn't known.
 */
bool segments_begin(struct segments *segments, const uint8_t *frame, uint32_t len,
                    const struct virtio_net_hdr *vnet);

/* The longest segment that there is, in bytes. */
uint32_t segments_longest(const struct segments *segments);

/*
 * Writes the next segment, complete with all lengths and sums, to where segments_longest() bytes
 * are. Returns its length, or 0 if there are no more.
 */
uint32_t segments_next(struct segments *segments, uint8_t *to);

#endif
