/*
 * Connections through an engine, and the frames of them.
 *
 * Frames come in a ring of buffers that is used over and over, as from a network card or
 * recvmmsg(); they are written before the clock starts, so that they stand in the processor's
 * cache, as freshly received ones do. The flows that they belong to don't.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include "program.h"

enum {
	TRAFFIC_RING = 1024, /* frames */
	TRAFFIC_BURST = 32,
	TRAFFIC_NS = 50, /* between two frames */
};

/* A connection, as its two ends know it. */
struct conn {
	uint32_t id; /* says the client's address and port, and the service */
	be32 server, snat;
	be16 snat_port;
	uint32_t next[2]; /* sequence numbers, by enum end */
};

struct traffic {
	struct subject *subject;
	struct conn *conns;
	uint32_t nconns;
	bool ipv6;
	bool bare; /* the frames go to floor_input(), and the engine hears nothing of them */
	struct program *program; /* the frames go there, if it isn't NULL */
	uint64_t random;
	uint8_t *ring;
	struct frame frames[TRAFFIC_RING];
};

/* Room for nconns connections, none of which is open yet. */
void traffic_make(struct traffic *traffic, struct subject *subject, uint32_t nconns, bool ipv6);
void traffic_free(struct traffic *traffic);

/* What is sent next on each of some connections. */
struct step {
	enum end end;
	uint8_t flags;   /* TCP_SYN ... */
	uint32_t bytes;  /* of the frame; 0: no payload */
	enum lb_why why; /* what is to come of it */
};

/*
 * Sends a frame on each of n connections from first on, in an order of its own. Returns the
 * processor time that it took the engine, in ns.
 */
uint64_t traffic_step(struct traffic *traffic, const struct step *step, uint32_t first, uint32_t n);

/* Makes the connections [first, first + n) new ones and opens them: SYN, SYN-ACK, ACK. */
void traffic_renew(struct traffic *traffic, uint32_t first, uint32_t n);
void traffic_open(struct traffic *traffic, uint32_t first, uint32_t n);

/*
 * Sends n data frames of that many bytes on open connections, taken at random among all, from
 * either end. Returns the time as above.
 */
uint64_t traffic_data(struct traffic *traffic, uint32_t bytes, uint32_t n);

#endif
