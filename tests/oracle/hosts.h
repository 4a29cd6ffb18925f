/*
 * Hosts that talk to each other through the engine, and whoever else is on the wire.
 */
#ifndef ORACLE_HOSTS_H
#define ORACLE_HOSTS_H

#include "world.h"

enum { HOSTS_TALKS = 48, HOSTS_NOBODY = -1 };

/* A frame on its way, and what it was when it was sent. */
struct made {
	struct frame frame, before;
	int talk; /* HOSTS_NOBODY: of none */
	unsigned generation;
	enum end end;
	uint8_t bytes[FRAME_HEADROOM + MODEL_FRAME_BYTES], before_bytes[MODEL_FRAME_BYTES];
};

/* An end of a connection. */
struct party {
	struct hop hop;
	uint32_t next, got;            /* what it sends and expects next */
	uint32_t last_seq, last_bytes; /* its last segment with data or FIN */
	uint8_t last_flags;
	uint32_t flying; /* bytes that the other hasn't acknowledged */
	int wscale;
	bool met; /* it has had the other's SYN */
	bool fin;
};

struct talk {
	bool used, mapped;
	unsigned generation, farm;
	uint16_t service, there; /* ports: of the VIP, and of the server */
	struct addr client, snat, server;
	uint16_t client_port, snat_port;
	struct party party[2];
};

struct hosts {
	struct world *world;
	struct talk talks[HOSTS_TALKS];
	unsigned generation;
	unsigned flood;           /* frames of a flood still to come */
	unsigned siege, besieged; /* the same of one of SYNs to the services of this farm */
};

void hosts_begin(struct hosts *hosts, struct world *world);

/* What an end of a talk would say if it said nothing: an acknowledgment of all that it has. */
struct letter;
struct letter hosts_letter(const struct hosts *hosts, const struct talk *talk, enum end end);

/* Makes the next frame. */
void hosts_make(struct hosts *hosts, struct made *ret);

/* If frames come at once now. */
static inline bool hosts_hurry(const struct hosts *hosts)
{
	return hosts->flood || hosts->siege;
}

/* What became of it reaches whom it is for. */
void hosts_deliver(struct hosts *hosts, const struct made *made, const struct verdict *verdict);

#endif
