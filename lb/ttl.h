/*
 * What a packet has left of its way: IPv4's time to live (RFC 1812, 5.3.1), IPv6's hop limit (RFC
 * 8200, 3). ip is where its header begins.
 */
#ifndef LB_TTL_H
#define LB_TTL_H

#include "csum.h"
#include "wire.h"

/* If the packet can't go further than here. */
static inline bool ttl_is_last4(const uint8_t *ip)
{
	return ip[IPV4_TTL] <= 1;
}

static inline bool ttl_is_last6(const uint8_t *ip)
{
	return ip[IPV6_HOP_LIMIT] <= 1;
}

/* Takes one off it, and updates the header's checksum. */
static inline void ttl_spend4(uint8_t *ip)
{
	const be16 before = be16_load(ip + IPV4_TTL);

	ip[IPV4_TTL]--;
	csum_update(ip + IPV4_CHECKSUM, csum_change16(before, be16_load(ip + IPV4_TTL)));
}

/* Takes one off it. Returns the change in the header's sum, as IPv6 has no checksum of that. */
static inline csum_acc ttl_spend6(uint8_t *ip)
{
	const be16 before = be16_load(ip + IPV6_NEXT_HEADER);

	static_assert(IPV6_NEXT_HEADER % 2 == 0 && IPV6_HOP_LIMIT == IPV6_NEXT_HEADER + 1,
	              "a word of the sum");
	ip[IPV6_HOP_LIMIT]--;
	return csum_change16(before, be16_load(ip + IPV6_NEXT_HEADER));
}

#endif
