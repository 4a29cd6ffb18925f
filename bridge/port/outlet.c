/*
 * The way out.
 *
 * PACKET_VNET_HDR: what the kernel has put off for a received frame goes out with it again. Its
 * offsets count from the frame's first byte, which moves when VLAN tags are put in or taken out.
 *
 * sendmmsg() stops at the first frame that it can't send, and doesn't say why if it has sent others
 * before. So what follows a short return is sent with another call, which either goes on or fails
 * for a frame that is the first one: only that one is given up.
 */
#include "outlet.h"

#include <errno.h>

void outlet_init(struct outlet *outlet)
{
	*outlet = (struct outlet){.fd = -1};
	for (unsigned i = 0; i < PORT_BURST; i++) {
		outlet->iov[i][0] = (struct iovec){&outlet->vnets[i], sizeof(outlet->vnets[i])};
		outlet->headers[i].msg_hdr =
		        (struct msghdr){.msg_iov = outlet->iov[i], .msg_iovlen = 2};
	}
}

static void prepare(struct outlet *outlet, unsigned i, const struct frame *frame)
{
	const struct packet_offload *offload = frame->port_data;

	outlet->vnets[i] = (struct virtio_net_hdr){0};
	if (offload) {
		outlet->vnets[i] = offload->vnet;
		vnet_move(&outlet->vnets[i], (int)(offload->origin - frame->data));
	}
	outlet->iov[i][1] = (struct iovec){.iov_base = frame->data, .iov_len = frame->len};
}

unsigned outlet_send(struct outlet *outlet, const struct frame *frames, unsigned n)
{
	unsigned done = 0, sent = 0;

	for (unsigned i = 0; i < n; i++)
		prepare(outlet, i, &frames[i]);
	while (done < n) {
		int got = sendmmsg(outlet->fd, outlet->headers + done, n - done, MSG_DONTWAIT);

		if (got > 0) {
			done += (unsigned)got;
			sent += (unsigned)got;
		} else {
			done++; /* the first one failed: the others may not */
		}
	}
	return sent;
}
