/*
 * With which key plain frames (parse.h) look for their flow: what the short way needs of screen.c.
 * Inline, as each packet comes by here.
 */
#ifndef LB_PLAIN_H
#define LB_PLAIN_H

#include "address.h"
#include "flows.h"
#include "name.h"
#include "parse.h"
#include "wire.h"

/* If the tuple, of a plain frame, which is in no VLAN, may be a flow's. */
static inline bool plain_may_be_balanced(const struct addresses *addresses,
                                         const struct tuple *tuple)
{
	return addresses_find(addresses, tuple->dst, VLAN_NONE)->kinds & ADDRESS_OURS ||
	       (addresses->any_no_snat &&
	        addresses_find(addresses, tuple->src, VLAN_NONE)->kinds & ADDRESS_NO_SNAT);
}

/*
 * The name of an address: number is what addresses_number() says of it; 0: the name is its hash,
 * and *hashed is set to the address. Nothing here branches on that, as a processor can't predict
 * which of client and server sends next.
 */
static inline be32 plain_name(const uint64_t factors6[5], const struct ip6 *ip, uint32_t number,
                              const struct ip6 **hashed)
{
	const uint64_t is_known = -(uint64_t) !!number;
	const uint32_t hash = name_hashed_number(factors6, ip);

	*hashed = (const struct ip6 *)(((uintptr_t)*hashed & (uintptr_t)is_known) |
	                               ((uintptr_t)ip & ~(uintptr_t)is_known));
	return name_of_number(number | (hash & ~(uint32_t)is_known));
}

/*
 * The key of a plain IPv6 frame; false if it can't be a flow's, as neither its source nor its
 * destination are known.
 */
static inline bool plain_key_ipv6(const struct addresses *addresses, const uint64_t factors6[5],
                                  const struct frame *frame, struct flow_key *ret)
{
	const uint8_t *ip = frame->data + PARSE_PLAIN_L3;
	const be16 *ports = (const be16 *)(frame->data + PARSE_PLAIN_L4_IPV6 + TCP_SRC);
	const struct ip6 *src_at = (const struct ip6 *)(ip + IPV6_SRC);
	const struct ip6 *dst_at = (const struct ip6 *)(ip + IPV6_DST), *hashed = NULL;
	const uint32_t to = addresses_number_either(addresses, dst_at);
	const bool is_to_us = addresses_untagged(addresses, to) & ADDRESS_OURS;
	be32 src, dst;

	if (!is_to_us && !addresses->any_no_snat)
		return false;
	dst = is_to_us ? name_of_number(to) : plain_name(factors6, dst_at, to, &hashed);
	src = plain_name(factors6, src_at, addresses_number_either(addresses, src_at), &hashed);
	ret->ipv6 = true;
	ret->hashed = hashed;
	ret->tuple = tuple_of(src, dst, ports[0], ports[1]);
	return is_to_us || addresses_find_name(addresses, src, VLAN_NONE)->kinds & ADDRESS_NO_SNAT;
}

#endif
