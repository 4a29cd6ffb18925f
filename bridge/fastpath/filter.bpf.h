/*
 * Filters, which come before anything else: the image of a frame that expressions are applied to,
 * and what is done for filters that have matched. Which ones have is found out by a program that
 * the process makes of the expressions (asking.c); it runs first, and begins by calling
 * filter_image().
 *
 * The outcome is the same as that of worker/firewall.c, but a reset is left to the process.
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

/*
 * Copies what follows the frame's addresses to the image's byte `to`, as much as there is room for.
 */
INLINE bool copy_rest(struct __sk_buff *skb, struct filter_image *image, uint32_t to)
{
	uint32_t less = skb->len - ETH_TYPE - 1; /* than all, by one: see take_out_jumbo() */

	if (less > FILTER_IMAGE_BYTES - to - 1)
		less = FILTER_IMAGE_BYTES - to - 1;
	__asm__ volatile("" : "+r"(less));
	return bpf_skb_load_bytes(skb, ETH_TYPE, image->bytes + to, less + 1) == 0;
}

/* Copies the beginning of the frame, the tag in its place. Fails only of what is shorter than an
 * Ethernet header. */
INLINE bool copy(struct __sk_buff *skb, struct filter_image *image)
{
	const uint32_t shift = skb->vlan_present ? FRAME_TAG_BYTES : 0;
	be16 tag[2];

	if (skb->len < ETH_HEADER_BYTES)
		return false;
	image->shift = shift;
	image->len = skb->len + shift;
	if (bpf_skb_load_bytes(skb, 0, image->bytes, ETH_TYPE) < 0)
		return false;
	if (!shift)
		return copy_rest(skb, image, ETH_TYPE);
	tag[0] = be16_from(bpf_ntohs(skb->vlan_proto));
	tag[1] = be16_from((uint16_t)skb->vlan_tci);
	__builtin_memcpy(image->bytes + ETH_TYPE, tag, sizeof(tag));
	return copy_rest(skb, image, ETH_TYPE + FRAME_TAG_BYTES);
}

/*
 * Takes out the header that the kernel puts into a merged frame of more than 64 KiB (RFC 2675, 2;
 * "BIG TCP"): none of its packets has it, and expressions don't look behind it.
 */
INLINE void take_out_jumbo(struct __sk_buff *skb, struct filter_image *image,
                           const struct first *first)
{
	enum { JUMBO_BYTES = 8, JUMBO_TYPE = 0xc2, L3_MASK = 31, ROOM = 240 };
	uint16_t type;
	const uint32_t l3 = first_l3(first, &type);
	const uint32_t jumbo = l3 + IPV6_HEADER_BYTES;
	uint32_t less = image->len - jumbo - JUMBO_BYTES - 1, to; /* than the rest, by one */
	uint8_t next;

	if (type != ETHERTYPE_IPV6 ||
	    first_byte(first, l3 + IPV6_NEXT_HEADER) != IPPROTO_NUM_HOP_BY_HOP ||
	    first_byte(first, jumbo + IPV6_EXTENSION_LENGTH) != 0 ||
	    first_byte(first, jumbo + 2) != JUMBO_TYPE)
		return;
	next = first_byte(first, jumbo);
	to = (first_at(first, l3) & L3_MASK) + IPV6_HEADER_BYTES;
	/* a load of 0 bytes is refused. That `less + 1` isn't 0 the verifier of Linux 6.1
	 * understands; that a number which was compared with 0 isn't, it doesn't */
	if (less > ROOM - 1)
		less = ROOM - 1;
	__asm__ volatile("" : "+r"(less));
	if (bpf_skb_load_bytes(skb, jumbo + JUMBO_BYTES - image->shift, image->bytes + to,
	                       less + 1) < 0)
		return;
	image->bytes[first_at(first, l3 + IPV6_NEXT_HEADER)] = next;
	image->len -= JUMBO_BYTES;
	image->shift -= JUMBO_BYTES;
}

/* Changes the image to that of the first packet of a merged frame, as it was on the wire. */
INLINE void unmerge(struct __sk_buff *skb, struct filter_image *image)
{
	struct first first = {image->bytes, &image->scratch, 0, 0};

	take_out_jumbo(skb, image, &first);
	first.len = image->len;
	if (!first_packet(&first, skb->gso_size))
		return;
	image->len = first.len;
	image->packets = first.packets;
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
		unmerge(skb, image);
	return 1;
}

/* ---- What is done ---- */

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
