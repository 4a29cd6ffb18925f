/*
 * The ring (TPACKET_V2) and the queue of a packet socket.
 *
 * A look at an empty socket is a system call, and a loop that waits for the next frame makes
 * nothing but such looks; a look at the ring is a read of memory. It is for small frames only: a
 * ring of places for 64 KiB would not stay in any cache. Of a frame that is too large for its place
 * the kernel queues the whole on the socket as well (PACKET_COPY_THRESH), before it hands the place
 * over. So the places are the sequence, and each that says so has a message in the queue. The ring
 * is as long as a burst may be: what comes while the process waits for a processor finds a place.
 *
 * Invariant: a place is taken with its message or not at all. recvmmsg() may return fewer messages
 * than there are, since an error of the socket (the interface has gone down) or a signal ends it:
 * then the burst ends before the first place whose message is still to come, and that place is the
 * next one to look at. Nothing is ever matched by counting alone: a message is its place's if it
 * has the same length and begins with the same bytes. One that is not belongs to a later place, and
 * those before have lost theirs; or to none at all, and is dropped. Either way both go on in step,
 * and what is lost is counted.
 *
 * A place is the kernel's or ours, as its tp_status says, which is therefore read and written with
 * acquire and release.
 */
#include "inlet.h"

#include "l2.h"
#include "../../lb/wire.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
	BLOCK_BYTES = 64 << 10,
	/* added to where the kernel would put the IPv4 header, 10 bytes behind a multiple of 16 */
	RESERVE = 6,
	SLOT_BYTES = PACKET_FRAME_BYTES,
	/* for data to be at FRAME_HEADROOM and the IPv4 header aligned */
	SLOT_DATA = FRAME_HEADROOM + 2,
	/*
	 * IP's longest packet, in an Ethernet frame with an inner tag; what is longer can't be sent
	 */
	LONGEST_BYTES = UINT16_MAX + ETH_HEADER_BYTES + FRAME_TAG_BYTES,
	/* of two frames, compared to tell if they are one */
	ALIKE_BYTES = 256,
	/*
	 * Sleeps that end for nothing, at a microsecond or two each. The kernel queues a message
	 * before it hands its place over, and the virtual processor that is between the two may
	 * stand still for longer than a few of them.
	 */
	VAIN_MAX = 64 << 10,
};

static_assert(SLOT_DATA + LONGEST_BYTES <= SLOT_BYTES, "room for it");
static_assert((int)INLET_BEHIND <= (int)INLET_PLACES_MIN / (int)INLET_PRESSED_PART,
              "who is pressed is behind");

union control {
	char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct cmsghdr align;
};

struct inlet_messages {
	uint8_t *memory; /* PORT_BURST times SLOT_BYTES */
	struct packet_offload offloads[PORT_BURST];
	struct mmsghdr headers[PORT_BURST];
	struct iovec iov[PORT_BURST][2];
	union control control[PORT_BURST];
};

/* ---- The ring ---- */

static struct tpacket2_hdr *place_at(const struct inlet *inlet, uint32_t i)
{
	return (struct tpacket2_hdr *)(void *)(inlet->places + (size_t)(i & (inlet->nplaces - 1)) *
	                                                               INLET_PLACE_BYTES);
}

/* The next place that holds a frame, or NULL. */
static struct tpacket2_hdr *take_place(struct inlet *inlet)
{
	struct tpacket2_hdr *next;

	if (!inlet->places)
		return NULL;
	next = place_at(inlet, inlet->next);
	if (!(__atomic_load_n(&next->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return NULL;
	inlet->next++;
	inlet->held++;
	return next;
}

/* Takes the last n places back: they are looked at again. */
static void untake_places(struct inlet *inlet, uint32_t n)
{
	inlet->next -= n;
	inlet->held -= n;
}

static void release_places(struct inlet *inlet)
{
	for (; inlet->held; inlet->held--)
		__atomic_store_n(&place_at(inlet, inlet->next - inlet->held)->tp_status,
		                 TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* The frame's bytes, tp_snaplen of tp_len, with FRAME_HEADROOM before them, in which stands what
 * the kernel says about it; its IPv4 header is aligned. */
static uint8_t *place_data(struct tpacket2_hdr *place)
{
	return (uint8_t *)place + place->tp_mac;
}

/* ---- Frames ---- */

static void make_frame(enum side side, struct packet_offload *offload, uint8_t *data, uint32_t len,
                       struct frame *ret)
{
	offload->origin = data;
	*ret = (struct frame){
	        .data = data,
	        .len = len,
	        .wire_len = len,
	        .headroom = FRAME_HEADROOM,
	        .side = (uint8_t)side,
	        .port_data = offload,
	        .merged = offload->vnet.gso_type == VIRTIO_NET_HDR_GSO_NONE
	                          ? 0
	                          : offload->vnet.gso_size,
	};
	if (offload->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		ret->flags |= FRAME_CSUM_PARTIAL;
}

static void make_small(struct tpacket2_hdr *place, enum side side, struct packet_offload *offload,
                       struct frame *ret)
{
	uint8_t *data = place_data(place);

	memcpy(&offload->vnet, data - sizeof(offload->vnet), sizeof(offload->vnet));
	make_frame(side, offload, data, place->tp_len, ret);
	l2_restore_tag(ret, place->tp_status, place->tp_vlan_tci, place->tp_vlan_tpid);
}

static uint8_t *message_data(const struct inlet_messages *messages, unsigned m)
{
	return messages->memory + (size_t)m * SLOT_BYTES + SLOT_DATA;
}

/* The place is of the same frame. */
static void make_large(struct inlet_messages *messages, unsigned m,
                       const struct tpacket2_hdr *place, enum side side, struct frame *ret)
{
	struct msghdr *header = &messages->headers[m].msg_hdr;

	make_frame(side, &messages->offloads[m], message_data(messages, m), place->tp_len, ret);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		l2_restore_tag(ret, aux.tp_status, aux.tp_vlan_tci, aux.tp_vlan_tpid);
	}
}

/* ---- The queue ---- */

static void prepare_messages(struct inlet_messages *messages)
{
	for (unsigned m = 0; m < PORT_BURST; m++) {
		messages->iov[m][0] =
		        (struct iovec){&messages->offloads[m].vnet, sizeof(struct virtio_net_hdr)};
		messages->iov[m][1] =
		        (struct iovec){message_data(messages, m), SLOT_BYTES - SLOT_DATA};
		messages->headers[m].msg_hdr =
		        (struct msghdr){.msg_iov = messages->iov[m],
		                        .msg_iovlen = 2,
		                        .msg_control = &messages->control[m]};
	}
}

/* Receives messages first and following, n at most. Returns how many, or a negative errno: -EAGAIN
 * if there are none. */
static int receive_messages(const struct inlet *inlet, unsigned first, unsigned n)
{
	struct inlet_messages *messages = inlet->messages;
	int got;

	for (unsigned m = first; m < first + n; m++)
		messages->headers[m].msg_hdr.msg_controllen = sizeof(messages->control[m]);
	got = recvmmsg(inlet->fd, messages->headers + first, n, MSG_DONTWAIT | MSG_TRUNC, NULL);
	return got < 0 ? -errno : got;
}

/* The length of message m's frame; with MSG_TRUNC that is its whole length, even if it was cut. */
static uint32_t message_bytes(const struct inlet_messages *messages, unsigned m)
{
	uint32_t bytes = messages->headers[m].msg_len;

	return bytes < sizeof(struct virtio_net_hdr)
	               ? 0
	               : bytes - (uint32_t)sizeof(struct virtio_net_hdr);
}

static bool is_of_place(const struct inlet_messages *messages, unsigned m,
                        struct tpacket2_hdr *place)
{
	uint32_t bytes = place->tp_snaplen < ALIKE_BYTES ? place->tp_snaplen : ALIKE_BYTES;

	return message_bytes(messages, m) == place->tp_len &&
	       !memcmp(message_data(messages, m), place_data(place), bytes);
}

/* ---- Both ---- */

/* A burst on its way: what has been taken of the ring, and whose messages are still to come. */
struct burst {
	struct tpacket2_hdr *places[PORT_BURST];
	unsigned n;
	unsigned large[PORT_BURST]; /* of places: those with a message */
	unsigned nlarge;
	unsigned paired; /* of large: those that have their message, or never will */
	unsigned used;   /* messages received */
};

static bool is_large(const struct tpacket2_hdr *place)
{
	return place->tp_status & TP_STATUS_COPY;
}

static void take_places(struct inlet *inlet, struct burst *burst)
{
	while (burst->n < PORT_BURST && (burst->places[burst->n] = take_place(inlet))) {
		if (is_large(burst->places[burst->n]))
			burst->large[burst->nlarge++] = burst->n;
		burst->n++;
	}
}

/* Gives message m to the first place whose frame it is; places before that have lost theirs. */
static void pair(struct inlet *inlet, struct burst *burst, unsigned m, enum side side,
                 struct frame *frames)
{
	unsigned i = burst->paired;

	while (i < burst->nlarge &&
	       !is_of_place(inlet->messages, m, burst->places[burst->large[i]]))
		i++;
	if (i == burst->nlarge) {
		inlet->missed++; /* of a place that has been left behind */
		return;
	}
	inlet->missed += i - burst->paired;
	burst->paired = i + 1;
	if (message_bytes(inlet->messages, m) > LONGEST_BYTES) {
		inlet->missed++;
		__atomic_store_n(&inlet->too_long, inlet->too_long + 1, __ATOMIC_RELAXED);
		return;
	}
	make_large(inlet->messages, m, burst->places[burst->large[i]], side,
	           &frames[burst->large[i]]);
}

/*
 * Receives what the large places of the burst lack. An error of the interface is told once, before
 * the messages; if it comes twice they have to wait, as they do if those of no place have taken all
 * the room.
 */
static void take_messages(struct inlet *inlet, struct burst *burst, enum side side,
                          struct frame *frames)
{
	unsigned errors = 0;

	while (burst->paired < burst->nlarge && burst->used < PORT_BURST && errors < 2) {
		unsigned lack = burst->nlarge - burst->paired, room = PORT_BURST - burst->used;
		int got = receive_messages(inlet, burst->used, lack < room ? lack : room);

		if (got == -EAGAIN) { /* the queue is empty: they won't come any more */
			inlet->missed += lack;
			burst->paired = burst->nlarge;
		}
		errors += got < 0;
		for (int i = 0; i < got; i++)
			pair(inlet, burst, burst->used++, side, frames);
	}
	if (burst->paired < burst->nlarge) {
		unsigned end = burst->large[burst->paired];

		untake_places(inlet, burst->n - end);
		burst->n = end;
	}
}

/* Fills in the small ones and leaves out what has no data. Returns how many frames are left. */
static unsigned take_small(struct inlet *inlet, const struct burst *burst, enum side side,
                           struct frame *frames)
{
	unsigned left = 0;

	for (unsigned i = 0; i < burst->n; i++) {
		struct tpacket2_hdr *place = burst->places[i];

		if (is_large(place)) {
			if (frames[i].data)
				frames[left++] = frames[i];
		} else if (place->tp_snaplen < place->tp_len) {
			inlet->missed++; /* large, but the queue was full */
		} else {
			make_small(place, side, &inlet->offloads[i], &frames[left++]);
		}
	}
	return left;
}

/* If n places, counted from the next one, and one more hold frames. */
static bool has_waiting(const struct inlet *inlet, uint32_t n)
{
	const struct tpacket2_hdr *far = place_at(inlet, inlet->next + n);

	return __atomic_load_n(&far->tp_status, __ATOMIC_RELAXED) & TP_STATUS_USER;
}

static enum port_backlog backlog_of(const struct inlet *inlet)
{
	if (!has_waiting(inlet, INLET_BEHIND))
		return PORT_KEEPS_UP;
	return has_waiting(inlet, inlet->nplaces / INLET_PRESSED_PART) ? PORT_IS_PRESSED
	                                                               : PORT_IS_BEHIND;
}

unsigned inlet_receive(struct inlet *inlet, enum side side, struct frame ret[PORT_BURST])
{
	struct burst burst;

	burst.n = burst.nlarge = burst.paired = burst.used = 0;
	release_places(inlet);
	take_places(inlet, &burst);
	inlet->backlog = burst.n == PORT_BURST ? backlog_of(inlet) : PORT_KEEPS_UP;
	if (!burst.n)
		return 0;
	inlet->vain = 0;
	for (unsigned i = 0; i < burst.nlarge; i++)
		ret[burst.large[i]].data = NULL;
	if (burst.nlarge)
		take_messages(inlet, &burst, side, ret);
	return take_small(inlet, &burst, side, ret);
}

void inlet_woken(struct inlet *inlet)
{
	if (!inlet->places || ++inlet->vain < VAIN_MAX)
		return;
	inlet->vain = 0;
	if (!(__atomic_load_n(&place_at(inlet, inlet->next)->tp_status, __ATOMIC_ACQUIRE) &
	      TP_STATUS_USER) &&
	    receive_messages(inlet, 0, 1) > 0)
		inlet->missed++; /* a message without a place */
}

/* ---- Beginning and end ---- */

int inlet_init(struct inlet *inlet)
{
	struct inlet_messages *messages = calloc(1, sizeof(*messages));

	*inlet = (struct inlet){.fd = -1, .messages = messages};
	if (!messages)
		return -ENOMEM;
	messages->memory = aligned_alloc(4096, (size_t)PORT_BURST * SLOT_BYTES);
	if (!messages->memory)
		return -ENOMEM;
	memset(messages->memory, 0, (size_t)PORT_BURST * SLOT_BYTES);
	prepare_messages(messages);
	return 0;
}

void inlet_free(struct inlet *inlet)
{
	if (inlet->messages)
		free(inlet->messages->memory);
	free(inlet->messages);
	inlet->messages = NULL;
}

static int set_option(int fd, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, SOL_PACKET, option, value, len) < 0 ? -errno : 0;
}

static uint32_t places_for(unsigned sharers)
{
	uint32_t n = INLET_PLACES;

	while (n > INLET_PLACES_MIN && n > INLET_PLACES / sharers)
		n /= 2;
	return n;
}

static size_t ring_bytes(const struct inlet *inlet)
{
	return (size_t)inlet->nplaces * INLET_PLACE_BYTES;
}

int inlet_open(struct inlet *inlet, int fd, unsigned sharers)
{
	const uint32_t n = places_for(sharers);
	const struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
	                                    .tp_block_nr = n / (BLOCK_BYTES / INLET_PLACE_BYTES),
	                                    .tp_frame_size = INLET_PLACE_BYTES,
	                                    .tp_frame_nr = n};
	const int version = TPACKET_V2, reserve = RESERVE, copy = 1;
	void *at;
	int err;

	if ((err = set_option(fd, PACKET_VERSION, &version, sizeof(version))) < 0 ||
	    (err = set_option(fd, PACKET_RESERVE, &reserve, sizeof(reserve))) < 0 ||
	    (err = set_option(fd, PACKET_COPY_THRESH, &copy, sizeof(copy))) < 0 ||
	    (err = set_option(fd, PACKET_RX_RING, &request, sizeof(request))) < 0)
		return err;
	inlet->nplaces = n;
	at = mmap(NULL, ring_bytes(inlet), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
	          0);
	if (at == MAP_FAILED)
		return -errno;
	inlet->fd = fd;
	inlet->places = at;
	inlet->next = inlet->held = inlet->vain = 0;
	return 0;
}

void inlet_close(struct inlet *inlet)
{
	if (inlet->places)
		munmap(inlet->places, ring_bytes(inlet));
	inlet->places = NULL;
	inlet->held = 0;
}
