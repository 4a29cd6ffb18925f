/*
 * What a frame is, as far as the first program looks: the wire's, ours, or possibly a flow's. It is
 * the judgement of lb/screen.c, or says that this is the process's to make.
 */
#ifndef BRIDGE_JUDGE_BPF_H
#define BRIDGE_JUDGE_BPF_H

#include "arrays.bpf.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

/* Layer 2, as far as the engine looks: see parse_link() in lb/parse.c. */
struct link_head {
	uint64_t dst, src;
	uint16_t ethertype; /* behind FRAME_TAGS_MAX tags at most; 0: the frame ends before */
	uint16_t vlan;      /* as hop_vlan() */
	uint32_t l3;
};

INLINE bool is_tag(uint16_t ethertype)
{
	unsigned tpid;

	return tpid_of(ethertype, &tpid);
}

/* Goes behind the tag at head->l3, which is the first one in the frame. */
INLINE void skip_tag(struct __sk_buff *skb, struct link_head *head, bool is_outer)
{
	PART(tag, FRAME_TAG_BYTES) = {0};
	bool is_8021q = head->ethertype == ETHERTYPE_8021Q;

	head->vlan = VLAN_OTHER;
	head->ethertype = 0;
	if (!load(skb, head->l3, tag, sizeof(tag)))
		return;
	if (is_outer && is_8021q)
		head->vlan = be16_get(be16_load(tag)) & VLAN_ID_MASK;
	head->ethertype = be16_get(be16_load(tag + 2));
	head->l3 += FRAME_TAG_BYTES;
}

/* The kernel has taken the outer tag out of the frame, unless it doesn't know its TPID. */
INLINE bool read_link(struct __sk_buff *skb, struct link_head *ret)
{
	const bool apart = skb->vlan_present;
	PART(eth, ETH_HEADER_BYTES);

	if (!load(skb, 0, eth, sizeof(eth)))
		return false;
	ret->dst = fastpath_mac(eth + ETH_DST);
	ret->src = fastpath_mac(eth + ETH_SRC);
	ret->ethertype = be16_get(be16_load(eth + ETH_TYPE));
	ret->l3 = ETH_HEADER_BYTES;
	ret->vlan = VLAN_NONE;
	if (apart)
		ret->vlan = skb->vlan_proto == bpf_htons(ETHERTYPE_8021Q)
		                    ? skb->vlan_tci & VLAN_ID_MASK
		                    : VLAN_OTHER;
	if (is_tag(ret->ethertype)) {
		skip_tag(skb, ret, !apart);
		if (!apart && is_tag(ret->ethertype))
			skip_tag(skb, ret, false);
	}
	return true;
}

/* The addresses in use. */
INLINE const struct fastpath_table *table_of(const struct fastpath_conf *c)
{
	return &c->tables[c->table & 1];
}

/* What an address is to us in that VLAN: ADDRESS_... below, and its name above, as it stands in
 * memory; or 0. */
INLINE uint64_t look_up(const struct fastpath_table *table, uint64_t high, uint64_t low,
                        uint32_t ipv6, uint32_t vlan)
{
	const struct fastpath_key key = {high, low, ipv6};
	const uint32_t place = fastpath_place(table, &key);

	for (uint32_t n = 0; n < FASTPATH_PROBES; n++) {
		uint32_t i = table->base + ((place + n) & table->mask);
		struct fastpath_address *address = bpf_map_lookup_elem(&addresses, &i);

		if (!address || !address->kinds)
			return 0;
		if (fastpath_is_at(address, &key, (uint16_t)vlan))
			return (uint64_t)word32_load(&address->name) << 32 | address->kinds;
	}
	return 0;
}

INLINE uint32_t kinds4(const struct fastpath_table *table, const uint8_t *ip, uint16_t vlan)
{
	return (uint32_t)look_up(table, 0, word32_load(ip), 0, vlan);
}

INLINE uint32_t kinds6(const struct fastpath_table *table, const uint8_t *ip, uint16_t vlan)
{
	return (uint32_t)look_up(table, word64_load(ip), word64_load(ip + 8), 1, vlan);
}

enum what {
	WIRE,
	TOLD, /* ARP, neighbour discovery or MLD queries of others: crosses, and the process gets a
	         copy */
	OURS, /* addressed to us: nobody else's */
	OURS_TCP,
	OURS_UDP, /* for nobody: dropped */
	SNAT_OFF, /* from a server of a farm with `snat = off`: may be a flow's, else it crosses */
	SNAT_OFF_TCP,
	HOSTS, /* the host's stack's, where that has what isn't ours */
};

INLINE bool is_arp_ipv4(const uint8_t *arp)
{
	return be16_get(be16_load(arp + ARP_HTYPE)) == ARP_HTYPE_ETHERNET &&
	       be16_get(be16_load(arp + ARP_PTYPE)) == ETHERTYPE_IPV4 && arp[ARP_HLEN] == 6 &&
	       arp[ARP_PLEN] == 4;
}

INLINE enum what judge_arp(struct __sk_buff *skb, const struct link_head *head,
                           const struct fastpath_table *table)
{
	PART(arp, ARP_BYTES);

	if (!load(skb, head->l3, arp, sizeof(arp)) || !is_arp_ipv4(arp))
		return WIRE;
	return kinds4(table, arp + ARP_TPA, head->vlan) & ADDRESS_OURS ? OURS : TOLD;
}

/* What a packet to us is, by its protocol; end is where it ends in the frame. */
INLINE enum what judge_ours(const struct __sk_buff *skb, uint32_t end, uint8_t protocol)
{
	if (protocol == IPPROTO_NUM_TCP)
		return OURS_TCP;
	return protocol == IPPROTO_NUM_UDP && end <= skb->len ? OURS_UDP : OURS;
}

/* The bytes of an IPv4 packet. A merged one of more than 65,535 ("BIG TCP") has 0 there, and
 * reaches to the frame's end. */
INLINE uint32_t length4(const struct __sk_buff *skb, uint32_t l3, const uint8_t *ip)
{
	const uint32_t len = be16_get(be16_load(ip + IPV4_TOTAL_LENGTH));

	return len || !skb->gso_size ? len : skb->len - l3;
}

/* The protocol of a packet of that many bytes, or 0: what has options, is a fragment or can't be is
 * neither TCP nor UDP here. */
INLINE uint8_t protocol4(const uint8_t *ip, uint32_t len)
{
	if (ip[0] != PARSE_PLAIN_VERSION || len < IPV4_HEADER_BYTES + UDP_HEADER_BYTES ||
	    be16_get(be16_load(ip + IPV4_FRAGMENT)) & IPV4_FRAGMENT_MASK)
		return 0;
	return ip[IPV4_PROTOCOL];
}

INLINE enum what judge_ours4(const struct __sk_buff *skb, const struct link_head *head,
                             const uint8_t *ip)
{
	const uint32_t len = length4(skb, head->l3, ip);

	return judge_ours(skb, head->l3 + len, protocol4(ip, len));
}

enum { JUMBO_BYTES = 8, JUMBO_OPTION = 0xc2, JUMBO_LENGTH = 4 }; /* RFC 2675 */

/* The bytes that stand before TCP in a merged IPv6 packet of more than 65,535 bytes: the kernel
 * says its length there, and 0 in the header; else 0. */
INLINE uint32_t jumbo6(struct __sk_buff *skb, uint32_t l3)
{
	PART(ip, IPV6_HEADER_BYTES);
	PART(next, JUMBO_BYTES);

	if (!skb->gso_size || !load(skb, l3, ip, IPV6_SRC) ||
	    ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_HOP_BY_HOP ||
	    word16_load(ip + IPV6_PAYLOAD_LENGTH) ||
	    !load(skb, l3 + IPV6_HEADER_BYTES, next, sizeof(next)))
		return 0;
	return next[0] == IPPROTO_NUM_TCP && !next[1] && next[2] == JUMBO_OPTION &&
	                       next[3] == JUMBO_LENGTH
	               ? JUMBO_BYTES
	               : 0;
}

INLINE enum what judge_ours6(struct __sk_buff *skb, const struct link_head *head, const uint8_t *ip)
{
	if (jumbo6(skb, head->l3))
		return OURS_TCP;
	return judge_ours(
	        skb, head->l3 + IPV6_HEADER_BYTES + be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH)),
	        ip[IPV6_NEXT_HEADER]);
}

INLINE enum what judge_ipv4(struct __sk_buff *skb, const struct link_head *head,
                            const struct fastpath_table *table)
{
	PART(ip, IPV4_HEADER_BYTES);

	if (!load(skb, head->l3, ip, sizeof(ip)) || ip[0] >> 4 != 4)
		return WIRE;
	if (kinds4(table, ip + IPV4_DST, head->vlan) & ADDRESS_OURS)
		return judge_ours4(skb, head, ip);
	if (!table->any_no_snat || !(kinds4(table, ip + IPV4_SRC, head->vlan) & ADDRESS_NO_SNAT))
		return WIRE;
	return protocol4(ip, length4(skb, head->l3, ip)) == IPPROTO_NUM_TCP ? SNAT_OFF_TCP
	                                                                    : SNAT_OFF;
}

/* If it is a neighbour solicitation or advertisement, which ret is set to. */
INLINE bool is_nd(struct __sk_buff *skb, uint32_t l3, const uint8_t *ip, uint8_t ret[ND_BYTES])
{
	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_ICMPV6 &&
	       load(skb, l3 + IPV6_HEADER_BYTES, ret, ND_BYTES) &&
	       (ret[ICMP_TYPE] == ND_SOLICITATION || ret[ICMP_TYPE] == ND_ADVERTISEMENT);
}

/* What a packet of neighbour discovery is; WIRE if it is none. */
INLINE enum what judge_nd(struct __sk_buff *skb, const struct link_head *head, const uint8_t *ip,
                          const struct fastpath_table *table)
{
	PART(nd, ND_BYTES);

	if (!is_nd(skb, head->l3, ip, nd))
		return WIRE;
	return kinds6(table, nd + ND_TARGET, head->vlan) & ADDRESS_OURS ? OURS : TOLD;
}

/* If it may be a query of multicast listeners, at which the process is to look. */
INLINE bool is_mld_query(struct __sk_buff *skb, const struct link_head *head, const uint8_t *ip)
{
	PART(next, MLD_OPTIONS_BYTES + 1);

	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_HOP_BY_HOP && ip[IPV6_DST] == 0xff &&
	       load(skb, head->l3 + IPV6_HEADER_BYTES, next, sizeof(next)) &&
	       next[0] == IPPROTO_NUM_ICMPV6 && next[1] == 0 &&
	       next[MLD_OPTIONS_BYTES] == MLD_QUERY;
}

INLINE enum what judge_ipv6(struct __sk_buff *skb, const struct link_head *head,
                            const struct fastpath_table *table)
{
	PART(ip, IPV6_HEADER_BYTES);
	enum what what;

	if (!load(skb, head->l3, ip, sizeof(ip)) || ip[0] >> 4 != 6)
		return WIRE;
	what = is_mld_query(skb, head, ip) ? TOLD : judge_nd(skb, head, ip, table);
	if (what == OURS)
		return OURS;
	if (kinds6(table, ip + IPV6_DST, head->vlan) & ADDRESS_OURS)
		return judge_ours6(skb, head, ip);
	if (what == TOLD || !table->any_no_snat ||
	    !(kinds6(table, ip + IPV6_SRC, head->vlan) & ADDRESS_NO_SNAT))
		return what;
	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_TCP ? SNAT_OFF_TCP : SNAT_OFF;
}

INLINE enum what judge(struct __sk_buff *skb, const struct link_head *head,
                       const struct fastpath_table *table)
{
	if (head->ethertype == ETHERTYPE_IPV4)
		return judge_ipv4(skb, head, table);
	if (head->ethertype == ETHERTYPE_IPV6 && table->any_ipv6)
		return judge_ipv6(skb, head, table);
	if (head->ethertype == ETHERTYPE_ARP)
		return judge_arp(skb, head, table);
	return WIRE;
}

#endif
