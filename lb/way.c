/*
 * By which side an address is reached, and by which neighbour.
 *
 * All of it follows from the rules, and is computed once they are built (way_settle()); where the
 * host has routes of its own to servers, these are asked for afterwards (bridge/cable/host.c). No
 * packet of a flow needs it: the way to its server stands in the rules by then, and the way to its
 * client is where its packets come from.
 */
#include "way.h"

/* If the address is in the subnet. */
static bool is_in(const struct rules_net *net, const struct ip6 *ip)
{
	const unsigned bytes = net->prefix / 8, bits = net->prefix % 8;

	return !memcmp(net->address.b, ip->b, bytes) &&
	       (!bits || !((net->address.b[bytes] ^ ip->b[bytes]) >> (8 - bits)));
}

static struct ip6 full(const struct rules *rules, be32 address)
{
	return be32_get(address) && name_is_ipv6(address) ? *rules_ip6(rules, address)
	                                                  : ip6_mapped(address);
}

/* The smallest subnet on one of our sides that the address is in, or NULL. */
static const struct rules_net *net_of_ip(const struct rules *rules, const struct ip6 *ip)
{
	const struct rules_net *found = NULL;

	for (unsigned i = 0; i < rules->nets.n; i++) {
		const struct rules_net *net = &rules->nets.all[i];

		if (net->side < NSIDES && is_in(net, ip) && (!found || net->prefix > found->prefix))
			found = net;
	}
	return found;
}

static const struct rules_net *net_of(const struct rules *rules, be32 address)
{
	const struct ip6 ip = full(rules, address);

	return net_of_ip(rules, &ip);
}

/* By which side the subnet is reached; net may be NULL: then otherwise. */
static enum side side_of(const struct rules_net *net, enum side otherwise)
{
	return net ? (enum side)net->side : otherwise;
}

void way_settle_server(const struct rules *rules, struct rules_server *server)
{
	const enum side home = rules->mode == MODE_ONE_ARMED ? OUTSIDE : INSIDE;
	const struct rules_net *net = net_of(rules, server->address);
	const be32 gateway = name_is_ipv6(server->address) ? rules->gateway6 : rules->gateway4;

	server->next = server->address;
	server->side = (uint8_t)side_of(net, home);
	if (!rules_has_stack(rules) || net || !be32_get(gateway))
		return;
	server->next = gateway;
	server->side = (uint8_t)side_of(net_of(rules, gateway), home);
}

void way_settle(struct rules *rules)
{
	for (unsigned s = 0; s < rules->nservers; s++)
		way_settle_server(rules, &rules->servers[s]);
}

unsigned way_search(const struct rules *rules, unsigned server, unsigned tries)
{
	return tries && !rules_has_stack(rules) ? WAY_SIDES : 1u << way_home(rules, server);
}

bool way_may_be_on(const struct rules *rules, const struct ip6 *ip, enum side side)
{
	return !rules_has_stack(rules) || side_of(net_of_ip(rules, ip), side) == side;
}

/* The subnet on one of our sides that the server's peer is in, or NULL: that of an IPv6 client
 * isn't known by its name. */
static const struct rules_net *net_of_peer(const struct rules *rules, unsigned server, be32 peer)
{
	if (name_is_ipv6(rules->servers[server].address) && name_is_hashed(peer))
		return NULL;
	return net_of(rules, peer);
}

bool way_may_answer(const struct rules *rules, unsigned server, be32 peer, enum side side)
{
	const enum side home = way_home(rules, server);

	return side == home || side_of(net_of_peer(rules, server, peer), home) != home;
}

bool way_is_direct(const struct rules *rules, unsigned server, be32 peer)
{
	const struct rules_net *net;

	if (!rules_has_stack(rules))
		return false;
	net = net_of_peer(rules, server, peer);
	return net && net == net_of(rules, way_next(rules, server)) &&
	       be32_eq(way_next(rules, server), rules->servers[server].address);
}

bool way_is_hosts(const struct rules *rules, be32 address)
{
	const struct ip6 ip = full(rules, address);

	for (unsigned i = 0; rules_has_stack(rules) && i < rules->nets.n; i++)
		if (ip6_eq(&rules->nets.all[i].address, &ip))
			return true;
	return false;
}

bool way_is_ours(const struct rules *rules, be32 address, enum side side)
{
	if (!rules_has_stack(rules))
		return true;
	return side == side_of(net_of(rules, address), OUTSIDE) && !way_is_hosts(rules, address);
}

const struct ip6 *way_router(const struct rules *rules, enum side side, bool ipv6)
{
	for (unsigned i = 0; i < rules->nets.n; i++) {
		const struct rules_net *net = &rules->nets.all[i];

		if (net->side == side && ip6_is_mapped(&net->address) == !ipv6)
			return &net->address;
	}
	return NULL;
}

int way_snat(struct rules *rules, be32 vip, be32 *ret)
{
	const struct ip6 *inside = way_router(rules, INSIDE, name_is_ipv6(vip));

	*ret = vip;
	if (rules->mode != MODE_ROUTED || !inside || !be32_get(vip))
		return 0;
	if (name_is_ipv6(vip))
		return rules_name(rules, inside, ret);
	memcpy(ret, inside->b + 12, sizeof(*ret));
	return 0;
}

struct hop way_everybody(enum side side, uint16_t vlan)
{
	return (struct hop){.mac = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	                    .side = side & 1u,
	                    .ntags = vlan != 0,
	                    .tpid0 = TPID_8021Q,
	                    .tci = {be16_from(vlan)}};
}
