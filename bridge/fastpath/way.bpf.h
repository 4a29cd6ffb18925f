/*
 * Where a segment came from, and where it goes: hops, and the tags of a frame.
 */
#ifndef BRIDGE_WAY_BPF_H
#define BRIDGE_WAY_BPF_H

#include "find.bpf.h"
#include "../../lb/wire.h"

/* A hop, copied as words. */
union hop_copy {
	struct hop hop;
	uint32_t words[3];
};

/* The tags of the frame, which has none but what the kernel has taken out, and its side: see
 * parse_link(). */
INLINE struct hop tags_of(const struct __sk_buff *skb, enum side side)
{
	struct hop ret = {.side = side & 1};

	if (!skb->vlan_present)
		return ret;
	ret.ntags = 1;
	ret.tci[0] = be16_from((uint16_t)skb->vlan_tci);
	ret.tpid0 = skb->vlan_proto == bpf_htons(ETHERTYPE_8021Q) ? TPID_8021Q : TPID_8021AD;
	return ret;
}

/* The last word of a hop, the byte behind the hop being cleared. */
INLINE uint32_t last_word(uint32_t word)
{
	return word & bpf_htonl(0xffffff00);
}

/* If that is who sent the frame, whose bytes begin at eth. */
INLINE bool is_from(const struct __sk_buff *skb, const uint8_t *eth, enum side side,
                    const union hop_copy *hop)
{
	union hop_copy from = {.words = {0}};

	from.hop = tags_of(skb, side);
	return hop->words[0] == word32_load(eth + ETH_SRC) &&
	       hop->words[1] == word32_of(word16_load(eth + ETH_SRC + sizeof(uint32_t)),
	                                  word16_load(from.hop.tci)) &&
	       last_word(hop->words[2]) == from.words[2];
}

/* Copies the hop at at, which is aligned to words, with a byte behind it. */
INLINE void copy_hop(union hop_copy *ret, const struct hop *at)
{
	const uint32_t *from = (const void *)at;

	for (unsigned i = 0; i < 3; i++)
		ret->words[i] = BOTH_READ(from[i]);
}

/* Where the flow's client is; false if a segment is to go there and that isn't known. */
INLINE bool find_client(const struct found *found, union hop_copy *ret)
{
	const uint32_t place = lane_hop(found->flow);
	const struct fastpath_part *part = found->part;
	uint32_t i;

	if (place == HOPS_NOWHERE && found->end == SERVER)
		return false;
	if (place != HOPS_OWN) {
		struct hops_place *at;

		i = place_of(part, TABLE_PLACES, place);
		at = bpf_map_lookup_elem(&places, &i);
		if (!at)
			return false;
		copy_hop(ret, &at->hop);
	} else {
		union flow_spare *at;

		i = place_of(part, TABLE_SPARE, found->f);
		at = bpf_map_lookup_elem(&spare, &i);
		if (!at)
			return false;
		copy_hop(ret, &at->hop);
	}
	return true;
}

/* The element with the number that the flow has for its server, in that half of the array. */
INLINE struct fastpath_way *way_at(uint32_t half, const struct found *found)
{
	const uint32_t i = (half & 1) * FASTPATH_WAYS + flow_life_server(found->lane.life);

	return bpf_map_lookup_elem(&ways, &i);
}

/* The way to the flow's server by that half, with `known` as it was read; NULL if the way isn't
 * known, or if the flow has its server's number from the other half. */
INLINE struct fastpath_way *way_in(uint32_t half, const struct found *found,
                                   const struct tuple *arrives, uint8_t *ret_known)
{
	const bool is_client = !(found->end & 1);
	const be32 server = is_client ? found->lane.to.dst : arrives->src;
	const be32 vip = is_client ? arrives->dst : found->lane.to.src;
	struct fastpath_way *way = way_at(half, found);

	if (!way || !(*ret_known = BOTH_READ_FIRST(way->known)))
		return NULL;
	return fastpath_is_way(way, server, vip) ? way : NULL;
}

INLINE struct fastpath_way *find_way_to(const struct fastpath_conf *c, const struct found *found,
                                        const struct tuple *arrives, uint8_t *ret_known)
{
	const uint32_t half = BOTH_READ_FIRST(c->ways_half);
	struct fastpath_way *way = way_in(half, found, arrives, ret_known);

	return way ? way : way_in(!half, found, arrives, ret_known);
}

/* Where the flow's server is. */
INLINE bool find_server(const struct fastpath_conf *c, const struct found *found,
                        const struct tuple *arrives, union hop_copy *ret)
{
	uint8_t known = 0;
	struct fastpath_way *way = find_way_to(c, found, arrives, &known);

	if (!way)
		return false;
	copy_hop(ret, &way->hop);
	BOTH_FENCE();
	if (BOTH_READ(way->known) != known)
		return false;
	if (!way->used)
		BOTH_WRITE(way->used, 1);
	return true;
}

/* If a frame with the tags of one hop can leave with those of the other. */
INLINE bool can_tag(const struct hop *to)
{
	return to->ntags < 2 && to->tpid0 != TPID_QINQ_OLD;
}

/* Makes the frame's tag that of the hop. */
INLINE bool tag(struct __sk_buff *skb, const struct hop *to)
{
	const uint16_t tci = be16_get(to->tci[0]);
	const uint16_t proto =
	        bpf_htons(to->tpid0 == TPID_8021Q ? ETHERTYPE_8021Q : ETHERTYPE_8021AD);

	if (skb->vlan_present) {
		if (to->ntags && skb->vlan_tci == tci && skb->vlan_proto == proto)
			return true;
		if (bpf_skb_vlan_pop(skb) < 0)
			return false;
	}
	return !to->ntags || bpf_skb_vlan_push(skb, proto, tci) == 0;
}

/* Where the segment goes, and if its sender, a client, isn't where it was; false if it is the
 * process's to say. */
INLINE bool find_way(const struct __sk_buff *skb, const struct fastpath_conf *c,
                     const struct found *found, const struct tuple *arrives, const uint8_t *eth,
                     enum side side, union hop_copy *ret, bool *ret_is_elsewhere)
{
	if (!find_client(found, ret))
		return false;
	if (found->end == SERVER)
		return true;
	*ret_is_elsewhere = !is_from(skb, eth, side, ret);
	return find_server(c, found, arrives, ret);
}

#endif
