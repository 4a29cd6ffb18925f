/*
 * A side's way in and out: an interface or a pair of capture files.
 */
#ifndef BRIDGE_PORT_H
#define BRIDGE_PORT_H

#include "../../lb/frame.h"

enum { PORT_BURST = 32 }; /* frames received, or sent, with one call */

struct port;

/* Called once a burst. */
struct port_ops {
	/*
	 * Receives up to PORT_BURST frames that have arrived, without waiting; the frames stay
	 * valid until the next call. Returns how many.
	 */
	unsigned (*receive)(struct port *port, struct frame ret[PORT_BURST]);
	/* Sends n frames at time now, in order; counts those that it can't send. */
	void (*send)(struct port *port, const struct frame *frames, unsigned n, lb_time now);
};

struct port_counts {
	uint64_t received; /* frames */
	uint64_t sent;
	uint64_t received_bytes, sent_bytes; /* of these */
	uint64_t send_failed;
	uint64_t missed; /* arrived, but the kernel had no room for them */
};

/* What the statistics say of an interface. */
struct port_link {
	const char *state; /* a word, or NULL if the port is none */
	uint32_t mtu;      /* bytes */
};

/* How much waits to be received, as was seen with the last burst. */
enum port_backlog {
	PORT_KEEPS_UP,
	PORT_IS_BEHIND,  /* more than is dealt with in a few milliseconds */
	PORT_IS_PRESSED, /* a good part of the room there is */
};

struct port {
	const struct port_ops *ops;
	const char *name;
	enum side side;
	bool is_none; /* the inside, one-armed: nothing comes or goes, and nobody shows it */
	struct mac mac;
	struct port_link link;
	struct port_counts counts;
	enum port_backlog backlog;
	struct frame out[PORT_BURST]; /* queued by port_queue() */
	unsigned nout;
};

/* The bytes of n frames. */
static inline uint64_t port_bytes(const struct frame *frames, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += frames[i].wire_len;
	return bytes;
}

/* Sends what is queued. */
static inline void port_flush(struct port *port, lb_time now)
{
	if (port->nout)
		port->ops->send(port, port->out, port->nout, now);
	port->nout = 0;
}

/*
 * Queues a frame, whose bytes must stay until port_flush(). A lone frame leaves with the flush that
 * ends its burst, never later.
 */
static inline void port_queue(struct port *port, const struct frame *frame, lb_time now)
{
	if (port->nout == PORT_BURST)
		port_flush(port, now);
	port->out[port->nout++] = *frame;
}

#endif
