/*
 * The programs in the kernel, at tc ingress of both ports.
 *
 * For each port there are two, one behind the other. The first one (outside, inside) decides what a
 * frame is and lets the wire cross; it writes into no frame, so that the kernel need not make
 * copies of frames that others hold as well, as TCP does of what it sends. What is TCP to us it
 * leaves to the second one (outside_flow, inside_flow), which finds the flow and rewrites.
 *
 * What neither does is the process's: it goes to the punt device, on which the workers listen, by a
 * tail call. The array of these programs is pinned nowhere, so the kernel empties it when the
 * process ends, however it does: that is how a program knows at once that nobody is there.
 */
#include "shared.h"
#include "../../lb/parse.h"
#include "../../lb/wire.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAP_ARRAY(name, value_type, flags)                                                         \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, flags);                                                          \
		__uint(max_entries, 1); /* set before it is loaded */                              \
		__type(key, uint32_t);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps")

MAP_ARRAY(conf, struct fastpath_conf, BPF_F_MMAPABLE);
MAP_ARRAY(addresses, struct fastpath_address, BPF_F_MMAPABLE);
MAP_ARRAY(counts, struct fastpath_counts, BPF_F_MMAPABLE);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, NSIDES);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(uint32_t));
} attendant SEC(".maps");

enum { BRIDGE_VLAN_BYTES = 4 }; /* by which the kernel's bridge lets a frame exceed the MTU */

#define INLINE static __always_inline

INLINE struct fastpath_conf *find_conf(void)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(&conf, &zero);
}

INLINE struct fastpath_counts *find_counts(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counts, &cpu);
}

/* Copies len bytes at offset, wherever in the frame they lie; false if it doesn't hold them. */
INLINE bool load(struct __sk_buff *skb, uint32_t offset, void *to, uint32_t len)
{
	const uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + offset + len <= end) {
		__builtin_memcpy(to, data + offset, len);
		return true;
	}
	return bpf_skb_load_bytes(skb, offset, to, len) == 0;
}

/* ---- What a frame is ---- */

/* Layer 2, as far as the engine looks: see parse_link() in lb/parse.c. */
struct link_head {
	uint64_t dst, src;
	uint16_t ethertype; /* behind FRAME_TAGS_MAX tags at most; 0: the frame ends before */
	uint16_t vlan;      /* as hop_vlan() */
	uint32_t l3;
};

INLINE bool is_tag(uint16_t ethertype)
{
	return ethertype == ETHERTYPE_8021Q || ethertype == ETHERTYPE_8021AD ||
	       ethertype == ETHERTYPE_QINQ_OLD;
}

/* Goes behind the tag at head->l3, which is the first one in the frame. */
INLINE void skip_tag(struct __sk_buff *skb, struct link_head *head, bool is_outer)
{
	uint8_t tag[FRAME_TAG_BYTES] = {0};
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
	uint8_t eth[ETH_HEADER_BYTES];

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

/* What an address is to us in that VLAN: ADDRESS_..., or 0. */
static __noinline uint32_t kinds_of(uint64_t high, uint64_t low, uint32_t ipv6, uint32_t vlan)
{
	const struct fastpath_key key = {high, low, ipv6};
	struct fastpath_conf *c = find_conf();
	struct fastpath_table table;
	uint32_t place;

	if (!c)
		return 0;
	table = c->tables[c->table & 1];
	place = fastpath_place(&table, &key);
	for (uint32_t n = 0; n < FASTPATH_PROBES; n++) {
		uint32_t i = table.base + ((place + n) & table.mask);
		struct fastpath_address *address = bpf_map_lookup_elem(&addresses, &i);

		if (!address || !address->kinds)
			return 0;
		if (fastpath_is_at(address, &key, (uint16_t)vlan))
			return address->kinds;
	}
	return 0;
}

INLINE uint32_t kinds4(const uint8_t *ip, uint16_t vlan)
{
	return kinds_of(0, word32_load(ip), 0, vlan);
}

INLINE uint32_t kinds6(const uint8_t *ip, uint16_t vlan)
{
	return kinds_of(word64_load(ip), word64_load(ip + 8), 1, vlan);
}

enum what {
	WIRE,
	TOLD, /* ARP or neighbour discovery of others: crosses, and the process hears of it */
	OURS, /* addressed to us: nobody else's */
	OURS_TCP,
	OURS_UDP, /* nobody's */
	SNAT_OFF, /* from a server of a farm with `snat = off`: may be a flow's, else it crosses */
	SNAT_OFF_TCP,
};

INLINE enum what judge_arp(struct __sk_buff *skb, const struct link_head *head)
{
	uint8_t arp[ARP_BYTES];

	if (!load(skb, head->l3, arp, sizeof(arp)) ||
	    be16_get(be16_load(arp + ARP_HTYPE)) != ARP_HTYPE_ETHERNET ||
	    be16_get(be16_load(arp + ARP_PTYPE)) != ETHERTYPE_IPV4 || arp[ARP_HLEN] != 6 ||
	    arp[ARP_PLEN] != 4)
		return WIRE;
	return kinds4(arp + ARP_TPA, head->vlan) & ADDRESS_OURS ? OURS : TOLD;
}

/* What is to us, of one protocol or another, as a packet of layer 3 of that length. */
INLINE enum what judge_ours(const struct __sk_buff *skb, uint32_t end, uint8_t protocol)
{
	if (protocol == IPPROTO_NUM_TCP)
		return OURS_TCP;
	return protocol == IPPROTO_NUM_UDP && end <= skb->len ? OURS_UDP : OURS;
}

INLINE enum what judge_ipv4(struct __sk_buff *skb, const struct link_head *head, bool any_no_snat)
{
	uint8_t ip[IPV4_HEADER_BYTES], protocol;
	uint32_t total;

	if (!load(skb, head->l3, ip, sizeof(ip)) || ip[0] >> 4 != 4)
		return WIRE;
	total = be16_get(be16_load(ip + IPV4_TOTAL_LENGTH));
	protocol = ip[IPV4_PROTOCOL];
	/* what has options, is a fragment or can't be is neither TCP nor UDP here */
	if (ip[0] != PARSE_PLAIN_VERSION || total < IPV4_HEADER_BYTES + UDP_HEADER_BYTES ||
	    be16_get(be16_load(ip + IPV4_FRAGMENT)) & IPV4_FRAGMENT_MASK)
		protocol = 0;
	if (kinds4(ip + IPV4_DST, head->vlan) & ADDRESS_OURS)
		return judge_ours(skb, head->l3 + total, protocol);
	if (!any_no_snat || !(kinds4(ip + IPV4_SRC, head->vlan) & ADDRESS_NO_SNAT))
		return WIRE;
	return protocol == IPPROTO_NUM_TCP ? SNAT_OFF_TCP : SNAT_OFF;
}

/* Neighbour solicitations and advertisements; else WIRE. */
INLINE enum what judge_nd(struct __sk_buff *skb, const struct link_head *head)
{
	uint8_t nd[ND_BYTES];

	if (!load(skb, head->l3 + IPV6_HEADER_BYTES, nd, sizeof(nd)) ||
	    (nd[ICMP_TYPE] != ND_SOLICITATION && nd[ICMP_TYPE] != ND_ADVERTISEMENT))
		return WIRE;
	return kinds6(nd + ND_TARGET, head->vlan) & ADDRESS_OURS ? OURS : TOLD;
}

INLINE enum what judge_ipv6(struct __sk_buff *skb, const struct link_head *head, bool any_no_snat)
{
	uint8_t ip[IPV6_HEADER_BYTES];
	enum what what = WIRE;
	uint32_t length;

	if (!load(skb, head->l3, ip, sizeof(ip)) || ip[0] >> 4 != 6)
		return WIRE;
	length = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	if (ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_ICMPV6)
		what = judge_nd(skb, head);
	if (what == OURS)
		return OURS;
	if (kinds6(ip + IPV6_DST, head->vlan) & ADDRESS_OURS)
		return judge_ours(skb, head->l3 + IPV6_HEADER_BYTES + length, ip[IPV6_NEXT_HEADER]);
	if (what == TOLD || !any_no_snat || !(kinds6(ip + IPV6_SRC, head->vlan) & ADDRESS_NO_SNAT))
		return what;
	return ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_TCP ? SNAT_OFF_TCP : SNAT_OFF;
}

INLINE enum what judge(struct __sk_buff *skb, const struct link_head *head,
                       const struct fastpath_table *table)
{
	if (head->ethertype == ETHERTYPE_IPV4)
		return judge_ipv4(skb, head, table->any_no_snat);
	if (head->ethertype == ETHERTYPE_IPV6 && table->any_ipv6)
		return judge_ipv6(skb, head, table->any_no_snat);
	if (head->ethertype == ETHERTYPE_ARP)
		return judge_arp(skb, head);
	return WIRE;
}

/* ---- What becomes of it ---- */

INLINE int drop(struct fastpath_counts *n, enum side side, enum lb_why why)
{
	n->received[side]++;
	n->whys[why]++;
	return TC_ACT_SHOT;
}

/* To the process; returns if there is none. */
INLINE void punt(struct __sk_buff *skb, enum side side)
{
	bpf_tail_call(skb, &attendant, side);
}

/* A copy for the process, which nobody gets if there is none. */
INLINE void tell(struct __sk_buff *skb, const struct fastpath_conf *c, enum side side)
{
	bpf_clone_redirect(skb, c->sides[side].punt, BPF_F_INGRESS);
}

INLINE bool fits(const struct __sk_buff *skb, const struct fastpath_side *out)
{
	return skb->len <= out->mtu + ETH_HEADER_BYTES + BRIDGE_VLAN_BYTES || skb->gso_size;
}

/* To the other port, and to the host's stack as well where that takes part. */
INLINE int cross(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 enum side side, bool is_group)
{
	const struct fastpath_side *out = &c->sides[!side];
	bool shared = is_group && c->sides[side].host;

	if (!out->ifindex || !fits(skb, out)) {
		n->too_long[!side]++;
		return shared ? TC_ACT_OK : TC_ACT_SHOT;
	}
	n->sent[!side]++;
	if (!shared)
		return bpf_redirect(out->ifindex, 0);
	bpf_clone_redirect(skb, out->ifindex, 0);
	return TC_ACT_OK;
}

/* What isn't addressed to us: told says if the process gets a copy, and counts it. */
INLINE int pass(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                enum side side, const struct link_head *head, bool told)
{
	bool to_host = head->dst == c->sides[OUTSIDE].mac || head->dst == c->sides[INSIDE].mac;

	if (told) {
		n->punted[side]++;
		tell(skb, c, side);
	} else {
		n->received[side]++;
		n->whys[to_host ? WHY_TO_HOST : WHY_NOT_OURS]++;
	}
	return to_host ? TC_ACT_OK : cross(skb, c, n, side, head->dst & 1);
}

INLINE int receive(struct __sk_buff *skb, enum side side)
{
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();
	struct link_head head;
	enum what what = WIRE;

	if (!c || !n || !c->active)
		return TC_ACT_OK;
	if (!read_link(skb, &head))
		return TC_ACT_OK;
	if (head.src == c->sides[OUTSIDE].mac || head.src == c->sides[INSIDE].mac)
		return drop(n, side, WHY_LOOP);
	what = judge(skb, &head, &c->tables[c->table & 1]);
	switch (what) {
	case WIRE:
		return pass(skb, c, n, side, &head, false);
	case TOLD:
		return pass(skb, c, n, side, &head, true);
	case OURS_UDP:
		return drop(n, side, WHY_PROTOCOL_NOT_SERVED);
	case OURS_TCP:
	case OURS:
		punt(skb, side);
		n->unattended[side]++;
		return TC_ACT_SHOT;
	case SNAT_OFF_TCP:
	case SNAT_OFF:
		if (head.dst == c->sides[OUTSIDE].mac || head.dst == c->sides[INSIDE].mac) {
			n->punted[side]++;
			tell(skb, c, side);
			return TC_ACT_OK;
		}
		punt(skb, side);
		return pass(skb, c, n, side, &head, false);
	}
	return TC_ACT_SHOT;
}

INLINE int attend(enum side side)
{
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();

	if (!c || !n)
		return TC_ACT_SHOT;
	n->punted[side]++;
	return bpf_redirect(c->sides[side].punt, BPF_F_INGRESS);
}

SEC("tc")
int outside(struct __sk_buff *skb)
{
	return receive(skb, OUTSIDE);
}

SEC("tc")
int inside(struct __sk_buff *skb)
{
	return receive(skb, INSIDE);
}

SEC("tc")
int outside_punt(struct __sk_buff *skb)
{
	(void)skb;
	return attend(OUTSIDE);
}

SEC("tc")
int inside_punt(struct __sk_buff *skb)
{
	(void)skb;
	return attend(INSIDE);
}

/* Behind the workers' sockets on the punt devices, and before what would be sent there. */
SEC("tc")
int nobody(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

/* some helpers are for programs under the GPL */
char bpf_license[] SEC("license") = "Dual BSD/GPL";
