/*
 * What an AF_PACKET socket receives, as one sequence: small frames from a ring of memory that is
 * shared with the kernel, large ones from the socket's own queue.
 */
#ifndef BRIDGE_INLET_H
#define BRIDGE_INLET_H

#include "port.h"
#include "vnet.h"

struct inlet_messages;

struct inlet {
	int fd;                    /* the socket, which is the caller's */
	uint8_t *places;           /* the ring; NULL: there is none, and nothing comes */
	uint32_t nplaces;          /* of it: a power of two */
	uint32_t next;             /* the place to look at */
	uint32_t held;             /* places before it that the kernel hasn't been given back yet */
	enum port_backlog backlog; /* behind the last burst: in the ring */
	struct inlet_messages *messages;            /* room for a burst from the queue */
	struct packet_offload offloads[PORT_BURST]; /* of frames in the ring */
	unsigned vain;     /* times in a row that the socket was readable without having a frame */
	uint64_t missed;   /* frames that had no room, or lost their other half */
	uint64_t too_long; /* of these, longer than an IP packet can be; others may read it,
	                      atomically */
};

enum {
	/* a GSO frame: 64 KiB of IPv4, the Ethernet header, tags; in whole pages */
	PACKET_FRAME_BYTES = 68 << 10,

	/*
	 * Places of all who share what arrives at a port: so many small frames may come while
	 * others have the processor. The fewest of one of them.
	 */
	INLET_PLACES = 64 << 10,
	INLET_PLACES_MIN = 8 << 10,
	INLET_PLACE_BYTES = 512, /* 430 of them for the frame */
	/* Held by frames behind a burst: so many, and such a part of all. */
	INLET_BEHIND = 2 << 10,
	INLET_PRESSED_PART = 4,
};

/* Takes memory for a burst of large frames. Returns 0 or -ENOMEM; inlet_free() is due in either
 * case. */
int inlet_init(struct inlet *inlet);
void inlet_free(struct inlet *inlet);

/*
 * Gives socket fd, which isn't bound yet and has all other options, a ring, one of sharers, and
 * receives by it from now on. Returns 0 or a negative errno; then there is nothing to close.
 */
int inlet_open(struct inlet *inlet, int fd, unsigned sharers);
void inlet_close(struct inlet *inlet);

/*
 * Receives up to PORT_BURST frames that have come, in their order, without waiting. They stay until
 * the next call. side is the port's. Returns how many.
 */
unsigned inlet_receive(struct inlet *inlet, enum side side, struct frame ret[PORT_BURST]);

/*
 * To be called after a sleep that ended as the socket was readable. Deals with a socket that is so
 * though it has no frame, which would end each further sleep at once.
 */
void inlet_woken(struct inlet *inlet);

#endif
