/*
 * Which addresses concern us: VIPs, SNAT addresses, servers.
 */
#ifndef LB_ADDRESS_H
#define LB_ADDRESS_H

#include "arena.h"
#include "rules.h"

enum {
	ADDRESS_VIP = 1 << 0,
	ADDRESS_SNAT = 1 << 1,
	ADDRESS_OURS = ADDRESS_VIP | ADDRESS_SNAT, /* we answer ARP or neighbour discovery */
	ADDRESS_SERVER = 1 << 2,
	ADDRESS_NO_SNAT =
	        1 << 3, /* a server of a farm with snat = off: packets from it may be flows' */
};

struct address {
	be32 ip;       /* or a name */
	uint8_t kinds; /* ADDRESS_...; 0: an empty place of the table */
	uint16_t farm; /* of the VIP, else the first farm that has it for SNAT */
};

struct addresses {
	struct address *places; /* of IPv4: open addressing, a power of two */
	uint32_t mask;
	struct address *named; /* of IPv6, by index of rules.names */
	uint32_t *names;       /* index + 1 in rules.names: open addressing, a power of two */
	uint32_t names_mask;
	const struct rules *rules;
	bool any_no_snat; /* there is an ADDRESS_NO_SNAT */
	bool any_ipv6;    /* there is an IPv6 address */
};

/* Takes the table from arena and, unless that only measures, fills it from rules. */
void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules);

/* Where an IPv4 address stands in the table, or the empty place where it would. */
static inline struct address *addresses_place(const struct addresses *addresses, be32 ip)
{
	uint32_t i = (be32_get(ip) * 0x9e3779b1u) >> 7 & addresses->mask; /* Fibonacci hashing */

	while (addresses->places[i].kinds && !be32_eq(addresses->places[i].ip, ip))
		i = (i + 1) & addresses->mask;
	return &addresses->places[i];
}

/* What an IPv4 address, or what a name is to us. Never NULL: one that isn't known has no kinds. */
static inline const struct address *addresses_find(const struct addresses *addresses, be32 ip)
{
	return addresses_place(addresses, ip);
}

const struct address *addresses_find_name(const struct addresses *addresses, be32 name);

/* The name that the rules give to an IPv6 address; false if they don't know it. */
bool addresses_name(const struct addresses *addresses, const struct ip6 *ip, be32 *ret);

#endif
