#include "plain.h"

/* Called, and not inlined: so it keeps nothing of what most frames need out of registers. */
__attribute__((noinline, cold)) bool plain_seek_ipv6(const struct addresses *addresses,
                                                     const uint64_t factors6[5],
                                                     const struct frame *frame, struct tuple *ret)
{
	const uint8_t *ip = frame->data + PARSE_PLAIN_L3;
	const struct ip6 *src = (const struct ip6 *)(ip + IPV6_SRC);
	const struct ip6 *dst = (const struct ip6 *)(ip + IPV6_DST);
	uint32_t to = addresses_number(addresses, dst);

	if (!(addresses_untagged(addresses, to) & ADDRESS_OURS)) {
		if (!addresses->any_no_snat ||
		    !(addresses_untagged(addresses, addresses_number(addresses, src)) &
		      ADDRESS_NO_SNAT))
			return false;
		to = to ? to : name_hashed_number(factors6, dst);
	}
	*ret = plain_tuple_ipv6(factors6, frame, to);
	return true;
}
