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

/* The way of a frame: one that crosses the wire has only a side; another one goes to a server, or
 * to a hop. */
struct way {
	struct hop hop;
	uint8_t side;    /* by which it leaves: to the wire, or the hop's */
	uint16_t server; /* to this server, wherever it is found to be; SERVER_NONE: to hop */
};

/* Sides as bits (1 << side): those that there are. */
enum { WAY_SIDES = 1 << OUTSIDE | 1 << INSIDE };

/* The other end of the wire. */
static inline enum side way_across(enum side from)
{
	return from == OUTSIDE ? INSIDE : OUTSIDE;
}

/*
 * Sets *ret to the way of a flow's packet: to its server, or to its client, whose hop was noted
 * when the flow opened. There is no branch, as a processor can't predict which of the two it is:
 * ret->hop is the client's in either case.
 */
static inline void way_of_flow(struct way *ret, bool to_server, uint16_t server,
                               const struct hop *client)
{
	static_assert(SERVER_NONE == UINT16_MAX, "all bits");
	ret->side = client->side;
	ret->server = (uint16_t)(server | -(uint32_t)!to_server);
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

/* On which of these sides the server is to be looked for by ARP or neighbour discovery, after tries
 * requests without an answer. */
unsigned way_search(const struct rules *rules, unsigned server, unsigned tries);

/* By which side a frame that goes that way leaves. */
static inline enum side way_side(const struct way *way, const struct rules *rules)
{
	return way->server == SERVER_NONE ? (enum side)way->side : way_home(rules, way->server);
}

/*
 * Sets of all servers of rules by which side they are reached (side), and which neighbour gets
 * their frames (next): themselves, or a gateway. To be called once addresses and gateways are
 * known. Where the host's routes say something else, that is noted over it. way_settle_server()
 * does that for one server of rules.
 */
void way_settle(struct rules *rules);
void way_settle_server(const struct rules *rules, struct rules_server *server);

/* If we, and not the host, answer ARP and neighbour discovery for this address of ours on that
 * side. */
bool way_is_ours(const struct rules *rules, be32 address, enum side side);

/* If who has the address, which isn't ours, can be on that side: where tmbridge is no cable, not if
 * its subnet is on the other one. */
bool way_may_be_on(const struct rules *rules, const struct ip6 *ip, enum side side);

/* If what the server sends to peer can come by that side, where tmbridge is no cable: by its own,
 * unless peer is in a subnet on the other one, to which it may have a way past tmbridge. */
bool way_may_answer(const struct rules *rules, unsigned server, be32 peer, enum side side);

/* If what the server sends to peer comes from the server itself, and by no router: where tmbridge
 * is no cable, if both are in one subnet of ours. */
bool way_is_direct(const struct rules *rules, unsigned server, be32 peer);

/* Whether the host has the address itself. */
bool way_is_hosts(const struct rules *rules, be32 address);

/* Sets *ret to the SNAT address that a farm with that VIP gets if its `snat` names none. Returns 0
 * or as rules_name() does. */
int way_snat(struct rules *rules, be32 vip, be32 *ret);

/* The source address of ICMP errors that we send as a router on that side, of IPv4 as ip6_mapped();
 * NULL: we have none there. */
const struct ip6 *way_router(const struct rules *rules, enum side side, bool ipv6);

/* The hop of broadcasts on a side, in the VLAN of this ID (IEEE 802.1Q), or untagged if it is 0. */
struct hop way_everybody(enum side side, uint16_t vlan);

#endif
