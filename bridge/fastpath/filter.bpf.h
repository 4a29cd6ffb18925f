/*
 * Filters, which come before anything else: what is done for those that have matched. Which ones
 * have is found out by a program that the process makes of the expressions (asking.c), which runs
 * first.
 *
 * The outcome is the same as that of worker/firewall.c, but a reset is left to the process.
 */
#ifndef BRIDGE_FILTER_BPF_H
#define BRIDGE_FILTER_BPF_H

#include "cross.bpf.h"

MAP_ARRAY(filters, struct fastpath_filter)
MAP_ARRAY(filter_counts, struct fastpath_filter_counts)
MAP_ARRAY(filter_seen, struct fastpath_filter_seen)

enum filtered { FILTERED_NEXT, FILTERED_PASSES, FILTERED_DROP, FILTERED_OVER, FILTERED_RESET };

/* If the filter's rate allows for these packets; then they are paid for. Where several processors
 * pay at once, one that has tried in vain lets its packets pass without paying. */
INLINE bool pay(struct fastpath_filter *filter, uint32_t packets, uint64_t now)
{
	enum { TRIES = 4 };
	uint64_t cost = filter->cost_ns * packets;

	if (cost > filter->depth_ns)
		cost = filter->depth_ns;
	for (unsigned n = 0; n < TRIES; n++) {
		const uint64_t paid = *(volatile uint64_t *)&filter->paid_ns;
		/* another processor may have paid by a later clock: then paid is after now */
		const uint64_t from = (int64_t)(now - paid) > (int64_t)filter->depth_ns
		                              ? now - filter->depth_ns
		                              : paid;

		if ((int64_t)(now - from) < (int64_t)cost)
			return false;
		if (__sync_val_compare_and_swap(&filter->paid_ns, paid, from + cost) == paid)
			return true;
	}
	return true;
}

INLINE enum filtered outcome(uint32_t action, bool over)
{
	switch (action) {
	case ON_MATCH_DROP:
		return FILTERED_DROP;
	case ON_MATCH_RESET:
		return over ? FILTERED_OVER : FILTERED_RESET;
	case ON_MATCH_PASS:
		return over ? FILTERED_OVER : FILTERED_PASSES;
	default:
		return FILTERED_NEXT;
	}
}

/* Keeps the frame for the log, if the process wants one. */
INLINE void show(struct __sk_buff *skb, uint32_t place, bool over, uint32_t side)
{
	struct fastpath_filter_seen *seen = bpf_map_lookup_elem(&filter_seen, &place);
	uint32_t len = skb->len;

	if (!seen || !seen->wanted || !__sync_val_compare_and_swap(&seen->wanted, 1, 0))
		return;
	if (len > sizeof(seen->bytes))
		len = sizeof(seen->bytes);
	if (len < ETH_HEADER_BYTES || bpf_skb_load_bytes(skb, 0, seen->bytes, len) < 0)
		return;
	seen->len = len;
	seen->over = over;
	seen->side = side;
	__sync_lock_test_and_set(&seen->ready, 1);
}

enum { FILTER_BEYOND = 2 }; /* beside the side's bit: no filter has a say in the frame */

/* Does what the filter at that place wants, which has matched the frame, of so many packets:
 * counts, and returns enum filtered. */
__noinline int apply_filter(struct __sk_buff *skb, uint32_t place, uint32_t packets, uint32_t flags)
{
	struct fastpath_filter *filter = bpf_map_lookup_elem(&filters, &place);
	uint32_t i = bpf_get_smp_processor_id() * FILTER_PARTS * FILTER_PART + place;
	struct fastpath_filter_counts *counts = bpf_map_lookup_elem(&filter_counts, &i);
	const uint64_t now = bpf_ktime_get_coarse_ns();
	enum filtered ret;
	bool over;

	if (!filter || !counts)
		return FILTERED_NEXT;
	over = filter->cost_ns && !pay(filter, packets, now);
	ret = outcome(filter->action, over);
	if (ret > FILTERED_PASSES && flags & FILTER_BEYOND)
		return FILTERED_PASSES;
	counts->matched += packets;
	if (over)
		counts->over += packets;
	if (ret > FILTERED_PASSES)
		counts->dropped += packets;
	counts->last_ns = now;
	if (filter->log)
		show(skb, place, over, flags & 1);
	return ret;
}

/* If the frame is of TCP to a port of our probes, from a server. */
INLINE bool is_to_probe(struct __sk_buff *skb, const struct fastpath_conf *c,
                        const struct link_head *head)
{
	PART(ip, IPV6_HEADER_BYTES);
	PART(ports, 4);
	const struct fastpath_table *table = table_of(c);
	const bool ipv6 = head->ethertype == ETHERTYPE_IPV6;
	const uint32_t l3 = head->l3 & 31; /* as it is */
	uint32_t l4 = l3 + IPV6_HEADER_BYTES;

	if (!load(skb, l3, ip, IPV4_HEADER_BYTES) || (ipv6 && !load(skb, l3, ip, sizeof(ip))))
		return false;
	if (!ipv6)
		l4 = l3 + (ip[0] & 15) * 4u;
	if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports)) < 0 ||
	    !rules_is_probe_port(be16_load(ports + TCP_DST)))
		return false;
	return (ipv6 ? kinds6(table, ip + IPV6_SRC, head->vlan)
	             : kinds4(table, ip + IPV4_SRC, head->vlan)) &
	       ADDRESS_SERVER;
}

/* Does what the filters want that have matched. Returns what the program is to return, or -1: the
 * frame goes on. */
INLINE int filtered(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side, const struct link_head *head, enum what what, bool beyond)
{
	const uint64_t matched =
	        skb->cb[FASTPATH_CB_MATCHED] | (uint64_t)skb->cb[FASTPATH_CB_MATCHED + 1] << 32;
	const uint32_t told = skb->cb[FASTPATH_CB_PACKETS];
	const uint32_t base = (told & (FILTER_PARTS - 1)) * FILTER_PART;
	const uint32_t packets = told >> FILTER_PARTS_SHIFT;

	if (!matched)
		return -1;
	beyond |= what == OURS_TCP && is_to_probe(skb, c, head);
	for (uint32_t i = 0; i < FILTER_PART; i++) {
		if (!(matched >> i & 1))
			continue;
		switch (apply_filter(skb, base + i, packets, side | (beyond ? FILTER_BEYOND : 0))) {
		case FILTERED_NEXT:
			continue;
		case FILTERED_PASSES:
			return -1;
		case FILTERED_DROP:
			return drop(skb, n, side, WHY_FILTERED);
		case FILTERED_OVER:
			return drop(skb, n, side, WHY_FILTER_RATE);
		default:
			punt(skb, side);
			n->unattended[side]++;
			return TC_ACT_SHOT;
		}
	}
	return -1;
}

#endif
