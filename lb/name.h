/*
 * How IPv6 addresses fit where IPv4 addresses do.
 *
 * Of the four addresses of a flow three are known from the rules: VIP, SNAT address and server. So
 * the engine gives IPv6 addresses names of four bytes, and flows, pools and schedulers deal with
 * them as with IPv4 addresses. Whether four bytes are a name or an IPv4 address is known from the
 * packet or, of addresses in the rules, by name_is_ipv6(): none there begins with 0.
 *
 * An address of the rules is named 0.x.y.z by its place in rules.names, exactly. Any other one, a
 * client's, is named by a keyed hash of 31 bits: to be sure, compare the whole address as well, of
 * which the flow table keeps one for each IPv6 flow (flows.client6). The index goes by that hash
 * for every source, also one that has a name (flows_hash()).
 */
#ifndef LB_NAME_H
#define LB_NAME_H

#include "tuple.h"

enum { NAME_HASHED = 0x80 }; /* in the first byte */

/* The name of that number: 1 for that of rules.names[0], and so on. */
static inline be32 name_of_number(uint32_t number)
{
	return be32_from(number); /* 0.0.0.0 names nothing */
}

/* The name of rules.names[index], index being less than RULES_NAMES_MAX. */
static inline be32 name_of(uint32_t index)
{
	return name_of_number(index + 1);
}

static inline uint32_t name_number(be32 name)
{
	return be32_get(name);
}

static inline uint32_t name_index(be32 name)
{
	return name_number(name) - 1;
}

static inline uint32_t name_hashed_number(const uint64_t factors[5], const struct ip6 *ip)
{
	return (uint32_t)NAME_HASHED << 24 | ip6_multilinear(factors, ip);
}

static inline be32 name_hashed(const uint64_t factors[5], const struct ip6 *ip)
{
	return name_of_number(name_hashed_number(factors, ip));
}

static inline bool name_is_hashed(be32 name)
{
	return name.b[0] & NAME_HASHED;
}

/* If an address of the rules is an IPv6 address. */
static inline bool name_is_ipv6(be32 address)
{
	return address.b[0] == 0;
}

#endif
