/*
 * The ring (TPACKET_V2).
 *
 * A look at an empty socket is a system call, and a loop that waits for the next frame makes
 * nothing but such looks; a look at the ring is a read of memory. It is for small frames only: a
 * ring of places for 64 KiB would not stay in any cache. Of a frame that is too large for its place
 * the kernel queues the whole on the socket as well (PACKET_COPY_THRESH), in the order of the
 * places.
 *
 * A place is the kernel's or ours, as its tp_status says, which is therefore read and written with
 * acquire and release.
 */
#include "ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

enum {
	PLACE_BYTES = 512, /* 430 of them for the frame */
	PLACES = 8 << 10,
	BLOCK_BYTES = 64 << 10,
	RING_BYTES = PLACES * PLACE_BYTES,
	/* added to where the kernel would put the IPv4 header, 10 bytes behind a multiple of 16 */
	RESERVE = 6,
};

static int set_option(int fd, int option, const void *value, socklen_t len)
{
	return setsockopt(fd, SOL_PACKET, option, value, len) < 0 ? -errno : 0;
}

int ring_open(struct ring *ring, int fd)
{
	const struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
	                                    .tp_block_nr = RING_BYTES / BLOCK_BYTES,
	                                    .tp_frame_size = PLACE_BYTES,
	                                    .tp_frame_nr = PLACES};
	const int version = TPACKET_V2, reserve = RESERVE, copy = 1;
	void *at;
	int err;

	if ((err = set_option(fd, PACKET_VERSION, &version, sizeof(version))) < 0 ||
	    (err = set_option(fd, PACKET_RESERVE, &reserve, sizeof(reserve))) < 0 ||
	    (err = set_option(fd, PACKET_COPY_THRESH, &copy, sizeof(copy))) < 0 ||
	    (err = set_option(fd, PACKET_RX_RING, &request, sizeof(request))) < 0)
		return err;
	at = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*ring = (struct ring){.places = at};
	return 0;
}

void ring_close(struct ring *ring)
{
	if (ring->places)
		munmap(ring->places, RING_BYTES);
	ring->places = NULL;
}

static struct tpacket2_hdr *place(const struct ring *ring, uint32_t i)
{
	return (struct tpacket2_hdr *)(void *)(ring->places + (size_t)(i % PLACES) * PLACE_BYTES);
}

struct tpacket2_hdr *ring_take(struct ring *ring)
{
	struct tpacket2_hdr *next;

	if (!ring->places)
		return NULL; /* another interface couldn't be opened */
	next = place(ring, ring->next);
	if (!(__atomic_load_n(&next->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return NULL;
	ring->next++;
	ring->held++;
	return next;
}

void ring_release(struct ring *ring)
{
	for (; ring->held; ring->held--)
		__atomic_store_n(&place(ring, ring->next - ring->held)->tp_status, TP_STATUS_KERNEL,
		                 __ATOMIC_RELEASE);
}
