/*
 * Keeps from the host's stack what is tmbridge's. It runs at tc ingress, behind the packet sockets
 * by which the workers get the same frames, so what it drops they have; or behind the fast path,
 * which lets through what it isn't active for.
 *
 * Where the host has what isn't ours, one-armed and routed, that stays so without a process: the
 * host would answer what comes to an address of its own. On a cable the host may be given these
 * addresses once the process has died, to serve them by other means: so it keeps nothing then. The
 * array guard_attendant is pinned nowhere, and the kernel empties it as the process ends.
 */
#include "guard.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(uint32_t));
} guard_attendant SEC(".maps");

INLINE bool is_ours(struct __sk_buff *skb)
{
	uint32_t zero = 0;
	const struct guard_conf *c = bpf_map_lookup_elem(&guard_conf, &zero);

	if (!c || skb->vlan_present) /* VLANs are the host's */
		return false;
	if (skb->protocol == __builtin_bswap16(ETHERTYPE_IPV4))
		return guard4(skb, c);
	return skb->protocol == __builtin_bswap16(ETHERTYPE_IPV6) && guard6(skb, c);
}

/* Beside the host. */
SEC("tc") int guard(struct __sk_buff *skb)
{
	return is_ours(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

/* On a cable. */
SEC("tc") int guard_cable(struct __sk_buff *skb)
{
	if (is_ours(skb))
		bpf_tail_call(skb, &guard_attendant, 0);
	return TC_ACT_OK;
}

SEC("tc") int guard_attended(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

char guard_license[] SEC("license") = "GPL";
