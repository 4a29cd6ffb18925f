/*
 * Keeps from the host's stack what is tmbridge's, where the host has what isn't: one-armed and
 * routed. It runs at tc ingress, behind the packet sockets by which the workers get the same
 * frames, so what it drops they have; or behind the fast path, which lets through what it isn't
 * active for.
 */
#include "guard.bpf.h"

SEC("tc") int guard(struct __sk_buff *skb)
{
	uint32_t zero = 0;
	const struct guard_conf *c = bpf_map_lookup_elem(&guard_conf, &zero);
	bool is_ours = false;

	if (!c || skb->vlan_present) /* VLANs are the host's */
		return TC_ACT_OK;
	if (skb->protocol == __builtin_bswap16(ETHERTYPE_IPV4))
		is_ours = guard4(skb, c);
	else if (skb->protocol == __builtin_bswap16(ETHERTYPE_IPV6))
		is_ours = guard6(skb, c);
	return is_ours ? TC_ACT_SHOT : TC_ACT_OK;
}

char guard_license[] SEC("license") = "GPL";
