/*
 * What is answered while there is no process to do it: flows go on for longer than their ends
 * remember where we are.
 */
#ifndef BRIDGE_ANSWER_BPF_H
#define BRIDGE_ANSWER_BPF_H

#include "cross.bpf.h"

/*
 * Answers an ARP request for one of our addresses while there is no process to do it: flows go on
 * for longer than their ends remember where we are.
 */
INLINE int answer_arp(struct __sk_buff *skb, const struct fastpath_conf *c, enum side side,
                      uint32_t l3)
{
	uint8_t arp[ARP_BYTES], answer[ARP_BYTES], eth[ETH_TYPE];

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

#endif
