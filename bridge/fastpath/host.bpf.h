/*
 * What a frame is where the host has what isn't ours, on the interfaces that it shares with us. It
 * is the judgement of lb/screen.c there, as far as the rules alone say it, which the guard has as
 * well. What isn't ours is left to the host's stack, untouched.
 */
#ifndef BRIDGE_HOST_BPF_H
#define BRIDGE_HOST_BPF_H

#include "cross.bpf.h"
#include "guard.bpf.h"

/* If we answer for the address on that side. */
INLINE bool is_answered(const struct guard_conf *g, const struct ip6 *ip, enum side side)
{
	const struct guard_place *place = find_place(g, ip);

	return place && place->kinds & GUARD_ANSWERED << side;
}

INLINE enum what judge_arp_here(struct __sk_buff *skb, const struct guard_conf *g, enum side side)
{
	PART(arp, ARP_BYTES);
	struct ip6 target;

	if (!load(skb, ETH_HEADER_BYTES, arp, sizeof(arp)) || !is_arp_ipv4(arp))
		return HOSTS;
	map4(&target, arp + ARP_TPA);
	return is_answered(g, &target, side) ? OURS : TOLD;
}

INLINE enum what judge_ipv4_here(struct __sk_buff *skb, const struct link_head *head,
                                 const struct guard_conf *g)
{
	PART(ip, IPV4_HEADER_BYTES);

	if (!load(skb, ETH_HEADER_BYTES, ip, sizeof(ip)) || !guard4(skb, g))
		return HOSTS;
	return judge_ours4(skb, head, ip);
}

INLINE enum what judge_ipv6_here(struct __sk_buff *skb, const struct link_head *head,
                                 const struct guard_conf *g, enum side side)
{
	PART(ip, IPV6_HEADER_BYTES);
	PART(nd, ND_BYTES);
	struct ip6 target;
	bool is_ours;

	if (!load(skb, ETH_HEADER_BYTES, ip, sizeof(ip)))
		return HOSTS;
	is_ours = guard6(skb, g);
	if (is_mld_query(skb, head, ip))
		return TOLD;
	if (!is_nd(skb, ETH_HEADER_BYTES, ip, nd))
		return is_ours ? judge_ours6(skb, head, ip) : HOSTS;
	__builtin_memcpy(&target, nd + ND_TARGET, sizeof(target));
	return is_ours || is_answered(g, &target, side) ? OURS : TOLD;
}

/* A function apart, as there is no room on the stack of its caller. */
static __noinline int judge_here(struct __sk_buff *skb, const struct link_head *head, uint32_t side)
{
	uint32_t zero = 0;
	const struct guard_conf *g = bpf_map_lookup_elem(&guard_conf, &zero);

	if (!g || !head || head->l3 != ETH_HEADER_BYTES || head->vlan != VLAN_NONE)
		return HOSTS; /* VLANs are the host's */
	if (head->ethertype == ETHERTYPE_ARP)
		return judge_arp_here(skb, g, (enum side)(side & 1));
	if (head->ethertype == ETHERTYPE_IPV4)
		return judge_ipv4_here(skb, head, g);
	if (head->ethertype == ETHERTYPE_IPV6)
		return judge_ipv6_here(skb, head, g, (enum side)(side & 1));
	return HOSTS;
}

/* Leaves the frame to the host's stack. */
INLINE int leave_to_host(const struct __sk_buff *skb, struct fastpath_counts *n, enum side side,
                         enum lb_why why)
{
	count(skb, n, side, why);
	return TC_ACT_OK;
}

/* Leaves the frame to the host's stack, and sends a copy to the process. */
INLINE int tell_both(struct __sk_buff *skb, const struct fastpath_conf *c,
                     struct fastpath_counts *n, enum side side)
{
	if (!tell(skb, c, n, side))
		count(skb, n, side, WHY_TO_HOST);
	return TC_ACT_OK;
}

#endif
