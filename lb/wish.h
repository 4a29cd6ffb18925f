/*
 * What a SYN asks for, and whether a server can give it.
 */
#ifndef LB_WISH_H
#define LB_WISH_H

#include "balance.h"

struct wish {
	struct balance *balance;
	const struct packet *packet;
	const struct flow_key *key;
	unsigned farm, service;
	lb_time now;
	/* the client is known: strangers who fill a server before they have opened make way for
	 * him at once (wish.c) */
	bool is_known;
};

static inline const struct rules_farm *wish_farm(const struct wish *wish)
{
	return &wish->balance->farms->rules->farms[wish->farm];
}

/* The port at which a server serves what the client asks for. */
be16 wish_server_port(const struct wish *wish);

/*
 * A server may be tried: it isn't full, or has a half-open flow that makes way for this one. And it
 * can be had: that, and there is a way to it, for which a flow that rests or is half-open may have
 * to give up its port. Both are tests for pick_server_if(), of a struct wish, and change nothing.
 */
bool wish_is_open(const void *wish, unsigned server);
bool wish_can_be_had(const void *wish, unsigned server);

/*
 * Takes a SNAT port, if the farm has any, and sets *ret to the tuple with which packets from the
 * server will arrive. Flows that rest or are half-open lose theirs for that. old is the flow that
 * the client's packets find, or FLOW_NONE. Returns false if the server can't be reached after all.
 */
bool wish_choose_arrival(const struct wish *wish, uint32_t old, uint16_t server,
                         struct snat_port *ret_port, struct tuple *ret);

/* Guesses that tuple, for prefetching, and takes nothing; false if there is no telling. */
bool wish_foresee(const struct wish *wish, uint16_t server, struct tuple *ret);

#endif
