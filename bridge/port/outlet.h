/*
 * Sending by an AF_PACKET socket.
 */
#ifndef BRIDGE_OUTLET_H
#define BRIDGE_OUTLET_H

#include "port.h"
#include "vnet.h"

#include <sys/socket.h>

struct outlet {
	int fd; /* the socket, which is the caller's */
	struct mmsghdr headers[PORT_BURST];
	struct iovec iov[PORT_BURST][2];
	struct virtio_net_hdr vnets[PORT_BURST];
};

void outlet_init(struct outlet *outlet);

/*
 * Sends n frames, up to PORT_BURST, in order, without waiting. Returns how many were sent: the
 * others the kernel didn't take.
 */
unsigned outlet_send(struct outlet *outlet, const struct frame *frames, unsigned n);

#endif
