/*
 * The way out.
 *
 * PACKET_VNET_HDR: what the kernel has left undone of a received frame is said again when it is
 * sent. Its offsets count from the frame's first byte, which moves when VLAN tags are put in or
 * taken out.
 *
 * That header can't say all that the kernel knows of a frame of its own. What would be understood
 * in another way is done here: SCTP's checksum, the sum of what is in a tunnel, and a merged frame
 * in a tunnel, which is cut up (segments.h).
 *
 * sendmmsg() stops at the first frame that it can't send, and doesn't say why if it has sent others
 * before. So what follows a short return is sent with another call, which either goes on or fails
 * for a frame that is the first one. That one is tried in another way if it was refused for what it
 * is: too long for a socket (longway.h), or merged in a way that the kernel doesn't take.
 */
#include "outlet.h"

#include "layers.h"
#include "segments.h"

#include <errno.h>
#include <stdlib.h>

enum { SCRATCH_BYTES = 256 << 10 };

int outlet_init(struct outlet *outlet)
{
	*outlet = (struct outlet){.fd = -1, .longway = {.fd = -1}};
	for (unsigned i = 0; i < PORT_BURST; i++) {
		outlet->iov[i][0] = (struct iovec){&outlet->vnets[i], sizeof(outlet->vnets[i])};
		outlet->headers[i].msg_hdr =
		        (struct msghdr){.msg_iov = outlet->iov[i], .msg_iovlen = 2};
	}
	outlet->scratch = malloc(SCRATCH_BYTES);
	return outlet->scratch ? 0 : -ENOMEM;
}

void outlet_free(struct outlet *outlet)
{
	free(outlet->scratch);
	outlet->scratch = NULL;
}

static bool is_merged(const struct virtio_net_hdr *vnet)
{
	return vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

/* Sends those that are prepared, first to end. Returns how many went; the one behind these failed
 * with *ret_err, unless they are all. */
static unsigned send_run(const struct outlet *outlet, struct mmsghdr *first, unsigned n,
                         int *ret_err)
{
	unsigned done = 0;

	while (done < n) {
		int got = sendmmsg(outlet->fd, first + done, n - done, MSG_DONTWAIT);

		if (got <= 0) {
			*ret_err = got < 0 ? errno : EIO;
			break;
		}
		done += (unsigned)got;
	}
	return done;
}

/* ---- A merged frame, in pieces ---- */

/* The pieces at hand, in messages of their own: the outlet's may be on their way. */
struct pieces {
	struct mmsghdr headers[PORT_BURST];
	struct iovec iov[PORT_BURST][2];
	unsigned n;
};

static bool send_pieces(const struct outlet *outlet, struct pieces *pieces)
{
	unsigned n = pieces->n;
	int err = 0;

	pieces->n = 0;
	return send_run(outlet, pieces->headers, n, &err) == n;
}

static void add_piece(struct pieces *pieces, uint8_t *at, uint32_t len)
{
	static struct virtio_net_hdr plain;
	struct iovec *iov = pieces->iov[pieces->n];

	iov[0] = (struct iovec){&plain, sizeof(plain)};
	iov[1] = (struct iovec){at, len};
	pieces->headers[pieces->n++].msg_hdr = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2};
}

/* Sends a merged frame in pieces. True if all of them were sent. */
static bool cut_up(const struct outlet *outlet, struct segments *segments)
{
	uint32_t longest = segments_longest(segments), at = 0, len;
	struct pieces pieces = {.n = 0};
	bool all = true;

	while ((len = segments_next(segments, outlet->scratch + at))) {
		add_piece(&pieces, outlet->scratch + at, len);
		at += len;
		if (pieces.n == PORT_BURST || at + longest > SCRATCH_BYTES) {
			all &= send_pieces(outlet, &pieces);
			at = 0;
		}
	}
	return send_pieces(outlet, &pieces) && all;
}

static bool send_cut(const struct outlet *outlet, const struct frame *frame,
                     const struct virtio_net_hdr *vnet)
{
	struct segments segments;

	return segments_begin(&segments, frame->data, frame->len, vnet) &&
	       cut_up(outlet, &segments);
}

/* ---- Frames ---- */

/* Sends a frame that the socket has refused with err, if there is another way. */
static bool send_refused(struct outlet *outlet, const struct frame *frame,
                         const struct virtio_net_hdr *vnet, int err)
{
	if (err == EMSGSIZE && !is_merged(vnet))
		return longway_fits(&outlet->longway, frame->data, frame->len) &&
		       longway_send(&outlet->longway, vnet, frame->data, frame->len) == 0;
	if ((err == EMSGSIZE || err == EINVAL) && is_merged(vnet))
		return send_cut(outlet, frame, vnet);
	return false;
}

static unsigned send_all(struct outlet *outlet, const struct frame *frames, unsigned first,
                         unsigned end)
{
	unsigned sent = 0;
	int err = 0;

	while (first < end) {
		unsigned n = send_run(outlet, outlet->headers + first, end - first, &err);

		first += n;
		sent += n;
		if (first < end) {
			sent += send_refused(outlet, &frames[first], &outlet->vnets[first], err);
			first++;
		}
	}
	return sent;
}

/* Makes message i of a frame. Returns false if it has to be cut up. */
static bool prepare(struct outlet *outlet, unsigned i, const struct frame *frame)
{
	const struct packet_offload *offload = frame->port_data;
	struct virtio_net_hdr *vnet = &outlet->vnets[i];
	bool whole = true;

	*vnet = (struct virtio_net_hdr){0};
	if (offload) {
		*vnet = offload->vnet;
		vnet_move(vnet, (int)(offload->origin - frame->data));
		whole = vnet_complete(vnet, frame->data, frame->len);
	}
	outlet->iov[i][1] = (struct iovec){.iov_base = frame->data, .iov_len = frame->len};
	return whole;
}

unsigned outlet_send(struct outlet *outlet, const struct frame *frames, unsigned n)
{
	unsigned first = 0, sent = 0;

	for (unsigned i = 0; i < n; i++) {
		struct segments segments;

		if (prepare(outlet, i, &frames[i]) ||
		    !segments_begin(&segments, frames[i].data, frames[i].len, &outlet->vnets[i]))
			continue;
		sent += send_all(outlet, frames, first, i);
		sent += cut_up(outlet, &segments);
		first = i + 1;
	}
	return sent + send_all(outlet, frames, first, n);
}
