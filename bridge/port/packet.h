/*
 * A network interface as a port, by AF_PACKET.
 */
#ifndef BRIDGE_PACKET_H
#define BRIDGE_PACKET_H

#include "../cable/link.h"
#include "inlet.h"
#include "port.h"
#include "vnet.h"

/* Where a port's frames come from and go to: the same interface, or not. */
struct packet_where {
	const struct link *receive, *send;
};

/*
 * Opens a port, named name, for a side and begins to receive all frames of the one interface,
 * promiscuously until packet_close() or the process's end. The port's MAC address is that of the
 * interface that it sends by. sharers are the ports that will share what arrives there, itself
 * included (fanout.h). Returns 0 and sets *ret, or a negative errno with the reason logged.
 */
int packet_open(enum side side, const char *name, const struct packet_where *where,
                unsigned sharers, struct port **ret);
void packet_close(struct port *port);

/* The port of a side that has none: nothing comes, nothing goes, and what is done to it does
 * nothing. Returns 0 and sets *ret, or -ENOMEM. */
int packet_open_none(enum side side, struct port **ret);

/*
 * Goes over to where, other interfaces than before. port may not be in use meanwhile; all
 * descriptors stay the same. Returns 0 or a negative errno.
 */
int packet_reopen(struct port *port, const struct packet_where *where);

/*
 * From now on port receives what program lets it, a descriptor of one for socket filters, which
 * must stay, and which keeps out what the host sends. Returns 0 or a negative errno.
 */
int packet_set_program(struct port *port, int program);
bool packet_has_program(const struct port *port);

/* Sets the MTU of the interface that port sends by, when it has changed. port may not be in use
 * meanwhile. Returns 0 or a negative errno. */
int packet_set_mtu(struct port *port, const struct link *link);

/* Has port receive nothing, until packet_reopen(). Returns 0 or a negative errno. */
int packet_mute(struct port *port);

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
 * interface has gone down or away: packet_woken() must be called with what it said, if anything.
 */
int packet_fd(const struct port *port);
void packet_woken(struct port *port, int events);

/* All descriptors that packet_reopen() binds anew. Returns how many: PACKET_FDS, or none. */
enum { PACKET_FDS = 3 };
unsigned packet_fds(const struct port *port, int ret[PACKET_FDS]);

/* To be called now and then, from any thread: says in the log if frames came that are too long. */
void packet_look(struct port *port, lb_time now);

/* Adds to port's counts what the kernel dropped since the last call. */
void packet_count_missed(struct port *port);

#endif
