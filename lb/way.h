/*
 * From here to there: by which side something leaves, with that port's MAC address for a source,
 * behind which tags, to which neighbour, and whether its TTL is spent. Whatever leaves tmbridge, or
 * is looked for, goes a way that is said here, and nobody else knows one side from the other.
 *
 * How tmbridge stands in the network (rules.mode):
 *
 * - transparent: like a piece of cable. What isn't for it crosses, servers are inside, clients
 *   anywhere, and all addresses of ours on both sides.
 * - routed: between two subnets, like a router. What isn't for it is the host's. An address is
 *   where its subnet is, or behind a gateway; and ours are on the side of their subnet.
 * - one-armed: beside the others, by one port, which is called the outside.
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

/* Sides (1 << side) that have a port. */
static inline unsigned way_ports(const struct rules *rules)
{
	return rules->mode == MODE_ONE_ARMED ? 1u << OUTSIDE : WAY_SIDES;
}

/* To whom frames for a server go, and by which side: the server itself, or a gateway. */
static inline be32 way_next(const struct rules *rules, unsigned server)
{
	return rules_has_stack(rules) ? rules->servers[server].next
	                              : rules->servers[server].address;
}

static inline enum side way_home(const struct rules *rules, unsigned server)
{
	return rules_has_stack(rules) ? (enum side)rules->servers[server].side : INSIDE;
}

/* On which of them a server is looked for, when tries requests have gone unanswered. */
unsigned way_search(const struct rules *rules, unsigned server, unsigned tries);

/* By which side a frame that goes that way leaves. */
static inline enum side way_side(const struct way *way, const struct rules *rules)
{
	return way->server == SERVER_NONE ? (enum side)way->side : way_home(rules, way->server);
}

/*
 * Fills in of all servers by which side they are reached, and who the neighbour is that takes their
 * frames: themselves, or a gateway of rules. To be called once addresses and gateways are known.
 */
void way_settle(struct rules *rules);

/* Whether the address of ours is one on that side, and we answer for it there, not the host. */
bool way_is_ours(const struct rules *rules, be32 address, enum side side);

/* Whether the host has the address itself. */
bool way_is_hosts(const struct rules *rules, be32 address);

/* The SNAT address of a farm with that VIP that has none. Returns 0 or as rules_name() does. */
int way_snat(struct rules *rules, be32 vip, be32 *ret);

/* With which address we speak as a router on that side, of IPv4 as ip6_mapped(); or NULL. */
const struct ip6 *way_router(const struct rules *rules, enum side side, bool ipv6);

/* Everybody on a side, in the VLAN of this ID (IEEE 802.1Q), or untagged if it is 0. */
struct hop way_everybody(enum side side, uint16_t vlan);

#endif
