/*
 * Filters, before anything else: what they look at of a frame, and what is done by those that have
 * matched. Which ones have is found out by a program that the process makes of their expressions
 * (asking.c); it comes first, and begins by calling filter_image().
 *
 * It is the same as worker/firewall.c does, but that a reset is the process's.
 */
#ifndef BRIDGE_FILTER_BPF_H
#define BRIDGE_FILTER_BPF_H

#include "cross.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct filter_image);
} filter_images SEC(".maps");

MAP_ARRAY(filters, struct fastpath_filter)
MAP_ARRAY(filter_counts, struct fastpath_filter_counts)
MAP_ARRAY(filter_seen, struct fastpath_filter_seen)

/* ---- What is looked at ---- */

/* Copies the beginning of the frame, the tag in its place. */
INLINE bool copy(struct __sk_buff *skb, struct filter_image *image)
{
	enum { ADDRESSES = ETH_TYPE };
	const uint32_t shift = skb->vlan_present ? FRAME_TAG_BYTES : 0;
	uint32_t rest = skb->len - ADDRESSES;
	be16 tag[2];

	if (skb->len < ETH_HEADER_BYTES || skb->len > UINT16_MAX * 8)
		return false;
	image->shift = shift;
	image->len = skb->len + shift;
	if (bpf_skb_load_bytes(skb, 0, image->bytes, ADDRESSES) < 0)
		return false;
	if (!shift) {
		if (rest > FILTER_IMAGE_BYTES - ADDRESSES)
			rest = FILTER_IMAGE_BYTES - ADDRESSES;
		return bpf_skb_load_bytes(skb, ADDRESSES, image->bytes + ADDRESSES, rest) == 0;
	}
	if (rest > FILTER_IMAGE_BYTES - ADDRESSES - FRAME_TAG_BYTES)
		rest = FILTER_IMAGE_BYTES - ADDRESSES - FRAME_TAG_BYTES;
	tag[0] = be16_from(bpf_ntohs(skb->vlan_proto));
	tag[1] = be16_from((uint16_t)skb->vlan_tci);
	__builtin_memcpy(image->bytes + ADDRESSES, tag, sizeof(tag));
	return bpf_skb_load_bytes(skb, ADDRESSES, image->bytes + ADDRESSES + FRAME_TAG_BYTES,
	                          rest) == 0;
}

/* A number below 128, of which the verifier then knows nothing else: without CAP_PERFMON it wants
 * an addition to a pointer to be the same on all ways to it. */
INLINE uint32_t hide(struct filter_image *image, uint32_t number)
{
	*(volatile uint32_t *)&image->scratch = number;
	return *(volatile uint32_t *)&image->scratch & 127;
}

/* Behind the tags. */
INLINE uint32_t find_l3(const struct filter_image *image, uint16_t *ret_type)
{
	const uint16_t first = be16_get(be16_load(image->bytes + ETH_TYPE));
	const uint16_t second = be16_get(be16_load(image->bytes + ETH_TYPE + FRAME_TAG_BYTES));

	*ret_type = first;
	if (!is_tag(first))
		return ETH_HEADER_BYTES;
	*ret_type = second;
	if (!is_tag(second))
		return ETH_HEADER_BYTES + FRAME_TAG_BYTES;
	*ret_type = be16_get(be16_load(image->bytes + ETH_TYPE + 2 * FRAME_TAG_BYTES));
	return ETH_HEADER_BYTES + 2 * FRAME_TAG_BYTES;
}

/* Makes it that of the first packet of a merged frame, as it was on the wire. */
INLINE void unmerge(struct filter_image *image, uint32_t merged)
{
	uint16_t type;
	const uint32_t l3 = hide(image, find_l3(image, &type));
	const bool ipv6 = type == ETHERTYPE_IPV6;
	const uint8_t first = image->bytes[l3];
	const uint8_t protocol =
	        image->bytes[hide(image, l3 + (ipv6 ? IPV6_NEXT_HEADER : IPV4_PROTOCOL))];
	const uint32_t l4 =
	        hide(image, l3 + (ipv6 ? (uint32_t)IPV6_HEADER_BYTES : (first & 15) * 4u));
	uint32_t headers = UDP_HEADER_BYTES, len;
	uint8_t *at;

	if (protocol == IPPROTO_NUM_TCP)
		headers = (image->bytes[l4 + TCP_DATA_OFFSET] >> 4) * 4u;
	len = l4 + headers + merged;
	if ((!ipv6 && type != ETHERTYPE_IPV4) || image->len <= len ||
	    (protocol != IPPROTO_NUM_TCP && protocol != IPPROTO_NUM_UDP))
		return;
	image->packets = (image->len - l4 - headers + merged - 1) / merged;
	image->len = len;
	len -= l3 + (ipv6 ? (uint32_t)IPV6_HEADER_BYTES : 0);
	at = image->bytes + hide(image, l3 + (ipv6 ? IPV6_PAYLOAD_LENGTH : IPV4_TOTAL_LENGTH));
	at[0] = (uint8_t)(len >> 8);
	at[1] = (uint8_t)len;
}

/* Called by the filters' program, which has its instructions. Returns 0 if there is nothing to look
 * at. */
SEC("tc")
int filter_image(struct __sk_buff *skb)
{
	uint32_t zero = 0;
	struct filter_image *image = bpf_map_lookup_elem(&filter_images, &zero);

	if (!image || !copy(skb, image))
		return 0;
	image->packets = 1;
	image->matched = 0;
	if (skb->gso_size)
		unmerge(image, skb->gso_size);
	return 1;
}

/* ---- What is done ---- */

enum filtered { FILTERED_NEXT, FILTERED_PASSES, FILTERED_DROP, FILTERED_OVER, FILTERED_RESET };

/* If the filter's rate allows for these packets; then they are paid for. Of several processors at
 * once the last tries may go unpaid. */
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

/* Keeps the frame for the log, if it wants one. */
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

/* The filter at that place has matched the frame, which stands for so many packets. */
__noinline int apply_filter(struct __sk_buff *skb, uint32_t place, uint32_t packets, uint32_t flags)
{
	struct fastpath_filter *filter = bpf_map_lookup_elem(&filters, &place);
	uint32_t i = bpf_get_smp_processor_id() * 2 * FILTER_HALF + place;
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
INLINE bool is_to_probe(struct __sk_buff *skb, const struct link_head *head)
{
	uint8_t ip[IPV6_HEADER_BYTES], ports[4];
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
	return (ipv6 ? kinds6(ip + IPV6_SRC, head->vlan) : kinds4(ip + IPV4_SRC, head->vlan)) &
	       ADDRESS_SERVER;
}

/* Does what the filters want that have matched. Returns an act, or -1: the frame goes on. */
INLINE int filtered(struct __sk_buff *skb, struct fastpath_counts *n, enum side side,
                    const struct link_head *head, enum what what, bool beyond)
{
	const uint64_t matched =
	        skb->cb[FASTPATH_CB_MATCHED] | (uint64_t)skb->cb[FASTPATH_CB_MATCHED + 1] << 32;
	const uint32_t base = (skb->cb[FASTPATH_CB_PACKETS] & 1) * FILTER_HALF;
	const uint32_t packets = skb->cb[FASTPATH_CB_PACKETS] >> 1;

	if (!matched)
		return -1;
	beyond |= what == OURS_TCP && is_to_probe(skb, head);
	for (uint32_t i = 0; i < FILTER_HALF; i++) {
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
