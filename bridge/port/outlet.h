/*
 * Sending by AF_PACKET sockets.
 */
#ifndef BRIDGE_OUTLET_H
#define BRIDGE_OUTLET_H

#include "longway.h"
#include "port.h"
#include "vnet.h"

#include <sys/socket.h>

struct outlet {
	int fd; /* the socket, which is the caller's */
	struct longway longway;
	uint8_t *scratch; /* for what merged frames are cut into */
	struct mmsghdr headers[PORT_BURST];
	struct iovec iov[PORT_BURST][2];
	struct virtio_net_hdr vnets[PORT_BURST];
};

/* Takes memory. Returns 0 or -ENOMEM; outlet_free() is due in either case. */
int outlet_init(struct outlet *outlet);
void outlet_free(struct outlet *outlet);

/*
 * Sends n frames, up to PORT_BURST, in order, without waiting. Completes in place what has to be.
 * Returns how many were sent: the others the kernel didn't take.
 */
unsigned outlet_send(struct outlet *outlet, const struct frame *frames, unsigned n);

#endif
