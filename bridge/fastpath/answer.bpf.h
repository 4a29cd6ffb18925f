/*
 * Answers to ARP and neighbour discovery while there is no process to give them: flows go on for
 * longer than their ends' neighbour caches remember us.
 */
#ifndef BRIDGE_ANSWER_BPF_H
#define BRIDGE_ANSWER_BPF_H

#include "cross.bpf.h"

/* Answers an ARP request for one of our addresses. */
INLINE int answer_arp(struct __sk_buff *skb, const struct fastpath_conf *c, enum side side,
                      uint32_t l3)
{
	PART(arp, ARP_BYTES);
	uint8_t answer[ARP_BYTES], eth[ETH_TYPE];

	if (!load(skb, l3, arp, sizeof(arp)) || arp[ARP_OPER] != 0 ||
	    arp[ARP_OPER + 1] != ARP_REQUEST || arp[ARP_SHA] & 1)
		return TC_ACT_SHOT;
	__builtin_memcpy(eth + ETH_DST, arp + ARP_SHA, sizeof(struct mac));
	__builtin_memcpy(eth + ETH_SRC, &c->sides[side].mac, sizeof(struct mac));
	__builtin_memcpy(answer, arp, ARP_SHA);
	answer[ARP_OPER + 1] = ARP_REPLY;
	__builtin_memcpy(answer + ARP_SHA, &c->sides[side].mac, sizeof(struct mac));
	__builtin_memcpy(answer + ARP_SPA, arp + ARP_TPA, sizeof(be32));
	__builtin_memcpy(answer + ARP_THA, arp + ARP_SHA, sizeof(struct mac));
	__builtin_memcpy(answer + ARP_TPA, arp + ARP_SPA, sizeof(be32));
	if (bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0) < 0 ||
	    bpf_skb_store_bytes(skb, l3, answer, sizeof(answer), 0) < 0)
		return TC_ACT_SHOT;
	return bpf_redirect(c->sides[side].ifindex, 0);
}

/* What the checksum of an advertisement covers, and behind the pseudo header the message itself. */
struct answer_nd {
	uint8_t src[sizeof(struct ip6)], dst[sizeof(struct ip6)];
	be32 length, protocol;
	uint8_t message[ND_BYTES + ND_OPTION_BYTES];
};

static_assert(sizeof(struct answer_nd) == 72, "without gaps");

/* Writes the advertisement that answers the solicitation ns, behind the header ip. If the
 * solicitation has no source address the answer goes to all nodes (RFC 4861, 7.2.4). */
INLINE void fill_nd(const uint8_t *ip, const uint8_t *ns, const uint8_t *mac, bool is_nobody,
                    struct answer_nd *ret)
{
	uint32_t sum;

	*ret = (struct answer_nd){.length = be32_from(sizeof(ret->message)),
	                          .protocol = be32_from(IPPROTO_NUM_ICMPV6)};
	__builtin_memcpy(ret->src, ns + ND_TARGET, sizeof(ret->src));
	if (is_nobody) { /* ff02::1; the rest is 0 already */
		ret->dst[0] = 0xff;
		ret->dst[1] = 2;
		ret->dst[sizeof(ret->dst) - 1] = 1;
	} else {
		__builtin_memcpy(ret->dst, ip + IPV6_SRC, sizeof(ret->dst));
	}
	ret->message[ICMP_TYPE] = ND_ADVERTISEMENT;
	ret->message[ND_FLAGS] = is_nobody ? ND_OVERRIDE : ND_SOLICITED | ND_OVERRIDE;
	__builtin_memcpy(ret->message + ND_TARGET, ns + ND_TARGET, sizeof(struct ip6));
	ret->message[ND_BYTES] = ND_OPTION_TARGET;
	ret->message[ND_BYTES + ND_OPTION_LENGTH] = ND_OPTION_BYTES / 8;
	__builtin_memcpy(ret->message + ND_BYTES + ND_OPTION_MAC, mac, sizeof(struct mac));
	sum = (uint32_t)bpf_csum_diff(NULL, 0, (uint32_t *)(void *)ret, sizeof(*ret), 0);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	__builtin_memcpy(ret->message + ICMP_CHECKSUM, &sum, sizeof(uint16_t));
}

/* Makes the frame the answer to the solicitation in it, whatever options it has. */
static __noinline int answer_nd(struct __sk_buff *skb, uint32_t side, uint32_t l3)
{
	const struct fastpath_conf *c = find_conf();
	PART(eth, 2 * sizeof(struct mac));
	PART(ip, IPV6_HEADER_BYTES);
	PART(ns, ND_BYTES);
	struct answer_nd answer;
	bool is_nobody;

	if (!c || !load(skb, 0, eth, sizeof(eth)) || !load(skb, l3, ip, sizeof(ip)) ||
	    !load(skb, l3 + IPV6_HEADER_BYTES, ns, sizeof(ns)) ||
	    ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_ICMPV6 || ip[IPV6_HOP_LIMIT] != ND_HOP_LIMIT ||
	    ns[ICMP_TYPE] != ND_SOLICITATION || ns[ICMP_CODE] || eth[ETH_SRC] & 1)
		return TC_ACT_SHOT;
	is_nobody = !word64_load(ip + IPV6_SRC) && !word64_load(ip + IPV6_SRC + 8);
	fill_nd(ip, ns, (const uint8_t *)&c->sides[side & 1].mac, is_nobody, &answer);
	if (is_nobody) { /* 33:33:00:00:00:01 (RFC 2464, 7) */
		eth[0] = eth[1] = 0x33;
		eth[2] = eth[3] = eth[4] = 0;
		eth[5] = 1;
	} else {
		__builtin_memcpy(eth + ETH_DST, eth + ETH_SRC, sizeof(struct mac));
	}
	__builtin_memcpy(eth + ETH_SRC, &c->sides[side & 1].mac, sizeof(struct mac));
	ip[IPV6_PAYLOAD_LENGTH] = 0;
	ip[IPV6_PAYLOAD_LENGTH + 1] = sizeof(answer.message);
	__builtin_memcpy(ip + IPV6_SRC, answer.src, sizeof(answer.src) + sizeof(answer.dst));
	if (bpf_skb_change_tail(skb, l3 + IPV6_HEADER_BYTES + sizeof(answer.message), 0) < 0 ||
	    bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), BPF_F_RECOMPUTE_CSUM) < 0 ||
	    bpf_skb_store_bytes(skb, l3, ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM) < 0 ||
	    bpf_skb_store_bytes(skb, l3 + IPV6_HEADER_BYTES, answer.message, sizeof(answer.message),
	                        BPF_F_RECOMPUTE_CSUM) < 0)
		return TC_ACT_SHOT;
	return bpf_redirect(c->sides[side & 1].ifindex, 0);
}

/* Answers ARP or a solicitation in a frame to us; any other frame to us is dropped, as there is no
 * process to have it. */
INLINE int answer(struct __sk_buff *skb, const struct fastpath_conf *c, enum side side,
                  const struct link_head *head)
{
	const uint32_t l3 =
	        head->l3 &
	        31; /* changes nothing, but the verifier may have forgotten that it is so small */

	if (head->ethertype == ETHERTYPE_ARP)
		return answer_arp(skb, c, side, l3);
	return head->ethertype == ETHERTYPE_IPV6 ? answer_nd(skb, side, l3) : TC_ACT_SHOT;
}

#endif
