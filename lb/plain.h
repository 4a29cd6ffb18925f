/*
 * With which key plain frames (parse.h) look for their flow: what the short way needs of screen.c.
 * Inline, as each packet comes by here, but for what few of them need.
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

/* The tuple, as plain_key_ipv6() has it, of a frame to the address with the name of number to; or,
 * having the top bit, with that hash. */
static inline struct tuple plain_tuple_ipv6(const uint64_t factors6[5], const struct frame *frame,
                                            uint32_t to)
{
	const be16 *ports = (const be16 *)(frame->data + PARSE_PLAIN_L4_IPV6 + TCP_SRC);
	const struct ip6 *src = (const struct ip6 *)(frame->data + PARSE_PLAIN_L3 + IPV6_SRC);

	return tuple_of(name_hashed(factors6, src), name_of_number(to), ports[0], ports[1]);
}

/* What plain_key_ipv6() does with the few frames whose destination isn't one of our addresses, or
 * can't be told so at once. */
bool plain_seek_ipv6(const struct addresses *addresses, const uint64_t factors6[5],
                     const struct frame *frame, struct tuple *ret);

/*
 * Sets *ret to the tuple by which the flow of a plain IPv6 frame is looked for in the index. In it
 * the source stands as the hash of its address even if the rules give it a name, until
 * plain_complete_ipv6() puts that in; a destination without a name stands as its hash too. False if
 * the frame can't be a flow's: its destination isn't one of our addresses, nor its source a server
 * with `snat = off`.
 */
static inline bool plain_key_ipv6(const struct addresses *addresses, const uint64_t factors6[5],
                                  const struct frame *frame, struct tuple *ret)
{
	const struct ip6 *dst = (const struct ip6 *)(frame->data + PARSE_PLAIN_L3 + IPV6_DST);
	uint32_t to;

	if (__builtin_expect(!addresses_number_first(addresses, dst, &to) ||
	                             !(addresses_untagged(addresses, to) & ADDRESS_OURS),
	                     0))
		return plain_seek_ipv6(addresses, factors6, frame, ret);
	*ret = plain_tuple_ipv6(factors6, frame, to);
	return true;
}

/* Completes the key, whose tuple is of plain_key_ipv6(): the source stands by its name, if it has
 * one. */
static inline void plain_complete_ipv6(const struct addresses *addresses, const struct frame *frame,
                                       struct flow_key *key)
{
	const uint8_t *ip = frame->data + PARSE_PLAIN_L3;
	const struct ip6 *src = (const struct ip6 *)(ip + IPV6_SRC);
	const struct ip6 *dst = (const struct ip6 *)(ip + IPV6_DST);

	key->ipv6 = true;
	key->hashed = name_is_hashed(key->tuple.dst) ? dst : NULL;
	if (!addresses_name(addresses, src, &key->tuple.src))
		key->hashed = src;
}

#endif
