/*
 * What is taken from the host of packets to addresses that it has itself. A VIP or SNAT address may
 * be the host's own, who is logged in to by it, or connects from it. Then tmbridge has
 *
 * - TCP to a service port of the VIP;
 * - TCP from a server's port that is served, checked or its agent's, to a SNAT port or one of the
 * probes';
 * - ICMP errors about either;
 * - fragments of TCP, as those that follow the first one don't say their ports;
 *
 * and all else is the host's, but for what belongs to a flow: one from before a reload may have
 * other ports. Whoever keeps these packets from the host's stack knows the rules, and is told the
 * ports of such flows (bridge/remains.h), which are then tmbridge's for as long.
 */
#ifndef LB_LOCAL_H
#define LB_LOCAL_H

#include "arena.h"
#include "rules.h"

enum { LOCAL_PORT_WORDS = (UINT16_MAX + 1) / 64 };

/* Ports as bits: what farms use as SNAT ports or for probes, and what their servers listen on. */
struct local {
	uint64_t snat[LOCAL_PORT_WORDS], servers[LOCAL_PORT_WORDS];
};

static inline bool local_has(const uint64_t ports[LOCAL_PORT_WORDS], uint16_t port)
{
	return ports[port / 64] >> port % 64 & 1;
}

/* If a packet from this port to that one of a SNAT address is ours, if it comes from a server. */
static inline bool local_is_answer(const struct local *local, be16 sport, be16 dport)
{
	return local_has(local->servers, be16_get(sport)) &&
	       local_has(local->snat, be16_get(dport));
}

/* Takes the ports' memory from arena, and fills it in from rules unless arena only measures. Sets
 * *ret to NULL where the mode has no host beside tmbridge. */
void local_lay_out(struct local **ret, struct arena *arena, const struct rules *rules);

#endif
