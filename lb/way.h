/*
 * From here to there: by which side something leaves, with that port's MAC address for a source,
 * behind which tags, and to which neighbour. Whatever leaves tmbridge, or is looked for, goes a way
 * that is said here, and nobody else knows one side from the other.
 *
 * tmbridge stands in the network like a piece of cable: what isn't for it crosses, servers are
 * inside, and clients anywhere.
 */
#ifndef LB_WAY_H
#define LB_WAY_H

#include "rules.h"

/* The way of a frame: of one for the wire a side; else to a server, or a hop. */
struct way {
	struct hop hop;
	uint8_t side;    /* to the wire on that side; or hop's */
	uint16_t server; /* to this server, wherever it is found to be; SERVER_NONE: to hop */
};

/* Sides as bits (1 << side): those that there are. */
enum { WAY_SIDES = 1 << OUTSIDE | 1 << INSIDE };

/* The other end of the wire. */
static inline enum side way_across(enum side from)
{
	return from == OUTSIDE ? INSIDE : OUTSIDE;
}

/* One of the two, without a branch. */
static inline uint32_t way_either(bool first, uint32_t a, uint32_t b)
{
	return b ^ ((a ^ b) & -(uint32_t)first);
}

/*
 * The way of what an end of a flow has sent: to its server, or to where its client is. It was known
 * when the flow opened. Which end that is can't be guessed by the processor, so there is no branch
 * for it: the hop is the client's in any case.
 */
static inline void way_of_flow(struct way *ret, bool to_server, uint16_t server,
                               const struct hop *client)
{
	ret->side = client->side;
	ret->server = (uint16_t)way_either(to_server, server, SERVER_NONE);
	ret->hop = *client;
}

/* On which sides a server is looked for, when tries requests have gone unanswered. */
unsigned way_search(unsigned tries);

/* On which side a server is whose MAC address was given. */
enum side way_home(void);

/* Everybody on a side, in the VLAN of this ID (IEEE 802.1Q), or untagged if it is 0. */
struct hop way_everybody(enum side side, uint16_t vlan);

#endif
