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
#include "../../lb/lane.h"
#include "../../lb/rewrite.h"
#include "../../lb/wire.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Arrays that the process has in its memory; max_entries are set before it is loaded. */
#define MAP_ARRAY(name, value_type)                                                                \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, uint32_t);                                                             \
		__type(value, value_type);                                                         \
	} name SEC(".maps");

#define MAP_TABLE(constant, name, type) MAP_ARRAY(name, type)

MAP_ARRAY(conf, struct fastpath_conf)
MAP_ARRAY(addresses, struct fastpath_address)
MAP_ARRAY(counts, struct fastpath_counts)
MAP_ARRAY(ways, struct fastpath_way)
MAP_ARRAY(names, struct ip6)
MAP_ARRAY(parts, struct fastpath_part)
TABLE_ARRAYS(MAP_TABLE)

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

/* What an address is to us in that VLAN: ADDRESS_... below, and its name above, as it stands in
 * memory; or 0. */
static __noinline uint64_t look_up(uint64_t high, uint64_t low, uint32_t ipv6, uint32_t vlan)
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
			return (uint64_t)word32_load(&address->name) << 32 | address->kinds;
	}
	return 0;
}

INLINE uint32_t kinds4(const uint8_t *ip, uint16_t vlan)
{
	return (uint32_t)look_up(0, word32_load(ip), 0, vlan);
}

INLINE uint32_t kinds6(const uint8_t *ip, uint16_t vlan)
{
	return (uint32_t)look_up(word64_load(ip), word64_load(ip + 8), 1, vlan);
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

/* What crosses if it is no flow's, which the process decides. The host's stack gets it as well if
 * it is sent to its MAC. */
INLINE int leave_to_process(struct __sk_buff *skb, const struct fastpath_conf *c,
                            struct fastpath_counts *n, enum side side, const struct link_head *head)
{
	if (head->dst == c->sides[OUTSIDE].mac || head->dst == c->sides[INSIDE].mac) {
		n->punted[side]++;
		tell(skb, c, side);
		return TC_ACT_OK;
	}
	punt(skb, side);
	return pass(skb, c, n, side, head, false);
}

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
	case SNAT_OFF_TCP:
		skb->cb[FASTPATH_CB_L3] = head.l3;
		skb->cb[FASTPATH_CB_CROSSES] = what == SNAT_OFF_TCP;
		skb->cb[FASTPATH_CB_IPV6] = head.ethertype == ETHERTYPE_IPV6;
		return TC_ACT_UNSPEC; /* go on with the second program */
	case OURS:
		punt(skb, side);
		n->unattended[side]++;
		return head.ethertype == ETHERTYPE_ARP ? answer_arp(skb, c, side, head.l3)
		                                       : TC_ACT_SHOT;
	case SNAT_OFF:
		return leave_to_process(skb, c, n, side, &head);
	}
	return TC_ACT_SHOT;
}

/* ---- Segments of open flows ---- */

/* Looked at for a flow, in each bucket and in all. More are so rare that the process may have them,
 * and each costs the verifier time. */
enum { CANDIDATES_MAX = 3, BUCKETS_MAX = 2 };

/* A segment on its way through. */
struct segment {
	struct tuple from;
	uint32_t l3, l4, len; /* len: of TCP, header included */
	struct packet packet;
};

/* What it belongs to. */
struct found {
	struct fastpath_part *part; /* of the worker's arrays */
	struct table_head *head;
	struct flow *flow;
	struct lane lane;
	uint32_t f; /* in the map flows */
	uint32_t end;
};

/* The number of the only bit that is set, of 16: this target has no instruction for it. By a de
 * Bruijn sequence, whose four bits at the top name each shift. */
INLINE uint32_t number_of_bit(uint32_t bit)
{
	return 0xcd7ea84fb6935210ull >> 4 * ((bit * 0x09af & 0xffff) >> 12) & 15;
}

INLINE bool find_in(const struct bucket *bucket, const struct tuple *tuple, uint8_t tag,
                    uint32_t base, struct found *ret)
{
	uint32_t matches = lane_match(bucket, tag);

	for (unsigned n = 0; n < CANDIDATES_MAX && matches; n++, matches &= matches - 1) {
		const uint32_t slot = number_of_bit(matches & -matches);
		uint32_t ref;

		if (slot >= INDEX_SLOTS)
			return false;
		ref = lane_ref(bucket, slot);
		ret->f = base + flow_of(ref);
		ret->end = ref & 1;
		ret->flow = bpf_map_lookup_elem(&flows, &ret->f);
		if (ret->flow && lane_look(ret->flow, ref & 1, tuple, &ret->lane))
			return true;
	}
	return false;
}

/* The flow among those of a worker. */
INLINE bool find_at(uint32_t worker, const struct tuple *tuple, struct found *ret)
{
	struct table_head *h = bpf_map_lookup_elem(&head, &worker);
	struct fastpath_part *part = bpf_map_lookup_elem(&parts, &worker);
	uint32_t nbuckets, b, i;
	uint64_t hash;

	if (!h || !part || h->layout != TABLE_LAYOUT)
		return false;
	ret->head = h;
	ret->part = part;
	hash = tuple_multilinear(h->factors, tuple);
	nbuckets = h->nbuckets;
	b = index_home(nbuckets, hash);
	for (unsigned n = 0; n < BUCKETS_MAX; n++) {
		struct bucket *bucket;

		i = part->base[TABLE_BUCKETS] + b;
		bucket = bpf_map_lookup_elem(&buckets, &i);
		if (!bucket)
			return false;
		if (find_in(bucket, tuple, index_tag(hash), part->base[TABLE_FLOWS], ret))
			return true;
		if (!lane_passed(bucket))
			return false;
		b = b + 1 == nbuckets ? 0 : b + 1;
	}
	return false;
}

/*
 * The flow, wherever it is. A packet to us comes from a client or from a server, which its worker
 * is known by in different ways; with `snat = off` what isn't to us comes from a server. client is
 * the number (lb/share.h) of the address that is a client's, if any is.
 */
static __noinline int find(const struct tuple *tuple, uint32_t client, uint32_t to_us,
                           struct found *ret)
{
	struct fastpath_conf *c = find_conf();
	struct share share;

	if (!c || !tuple || !ret)
		return 0;
	share = c->share;
	if (share.n <= 1)
		return find_at(0, tuple, ret);
	if (!to_us)
		return find_at(share_of_client(&share, client, tuple->dport), tuple, ret);
	return find_at(share_of_client(&share, client, tuple->sport), tuple, ret) ||
	       find_at(be16_get(tuple->dport) % share.n, tuple, ret);
}

/* Who sent the frame: see parse_link(). False if it has tags that aren't looked behind here. */
INLINE bool read_hop(struct __sk_buff *skb, const uint8_t *eth, uint32_t l3, enum side side,
                     struct hop *ret)
{
	*ret = (struct hop){.side = side & 1};
	__builtin_memcpy(&ret->mac, eth + ETH_SRC, sizeof(ret->mac));
	if (l3 != ETH_HEADER_BYTES)
		return false;
	if (!skb->vlan_present)
		return true;
	ret->ntags = 1;
	ret->tci[0] = be16_from((uint16_t)skb->vlan_tci);
	ret->tpid0 = skb->vlan_proto == bpf_htons(ETHERTYPE_8021Q) ? TPID_8021Q : TPID_8021AD;
	return true;
}

/* Where the flow's client is. */
INLINE bool find_client(const struct found *found, struct hop *ret)
{
	const uint32_t place = lane_hop(found->flow);
	const struct fastpath_part *part = found->part;
	uint32_t i;

	if (place != HOPS_OWN) {
		struct hops_place *at;

		i = part->base[TABLE_PLACES] + place;
		at = bpf_map_lookup_elem(&places, &i);
		if (!at)
			return false;
		*ret = at->hop;
	} else {
		const uint32_t f = found->f - part->base[TABLE_FLOWS];
		struct flow_hops *at;

		i = part->base[TABLE_OWN] + f / 2;
		at = bpf_map_lookup_elem(&own, &i);
		if (!at)
			return false;
		*ret = at->of[f & 1].hop;
	}
	return true;
}

/* Where a server is. */
INLINE bool find_server(uint32_t server, struct hop *ret)
{
	struct fastpath_way *way = bpf_map_lookup_elem(&ways, &server);

	if (!way || !BOTH_READ_FIRST(way->known))
		return false;
	*ret = way->hop;
	BOTH_FENCE();
	if (!BOTH_READ(way->known))
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

/* Changes both sums by what has changed: of the pseudo header, and of the ports, which a partial
 * one doesn't hold. */
INLINE void update_checksum(struct __sk_buff *skb, uint32_t at, csum_acc addresses,
                            const struct tuple *from, const struct tuple *to, bool pseudo)
{
	bpf_l4_csum_replace(skb, at, 0, csum_fold(addresses), pseudo ? BPF_F_PSEUDO_HDR : 0);
	bpf_l4_csum_replace(skb, at, 0,
	                    csum_fold(csum_change_word(tuple_ports(from), tuple_ports(to))), 0);
}

/* As parse_is_plain() has it, of a frame whose IP header the first program has looked at: at is
 * where TCP begins in the frame, of len bytes as IP says. */
INLINE bool is_plain(const struct __sk_buff *skb, const uint8_t *eth, const uint8_t *tcp,
                     uint32_t at, uint32_t len)
{
	const uint32_t header = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;

	return !(eth[ETH_SRC] & 1) && header >= TCP_HEADER_BYTES && len <= UINT16_MAX &&
	       len >= header && skb->len >= at + len && !(tcp[TCP_FLAGS] & TCP_SYN) &&
	       tcp[TCP_FLAGS] & (TCP_ACK | TCP_RST);
}

/* Where the segment goes; false if that is the process's to say. */
INLINE bool find_way(const struct found *found, const struct hop *from, struct hop *ret)
{
	if (!find_client(found, ret))
		return false;
	if (found->end == SERVER)
		return true;
	/* the client has moved: not here */
	return hop_eq(from, ret) && find_server(flow_life_server(found->lane.life), ret);
}

INLINE int leave(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 enum side side, const struct hop *to)
{
	const enum side out = to->side;

	n->received[side]++;
	n->whys[WHY_FLOW_HIT]++;
	if (!tag(skb, to))
		return TC_ACT_SHOT;
	n->sent[out]++;
	return bpf_redirect(c->sides[out].ifindex, 0);
}

/* The time in ticks. The coarse clock may be a few ms behind the one that the table was made by. */
INLINE uint32_t tick_now(const struct table_head *h)
{
	const uint64_t now = bpf_ktime_get_coarse_ns();

	return now > h->epoch_ns ? flow_tick((lb_time){now}, (lb_time){h->epoch_ns}) : 0;
}

/*
 * A segment that ends something, or may: the process's as long as there is one and it is well. From
 * when it is not they pass as the others do, and are noted as these are.
 */
INLINE bool ends(const uint8_t *tcp)
{
	return tcp[TCP_FLAGS] & (TCP_FIN | TCP_RST);
}

INLINE bool is_well(const struct fastpath_conf *c)
{
	const uint64_t now = bpf_ktime_get_coarse_ns();

	return now < c->alive_ns || now - c->alive_ns < FASTPATH_STALE_NS;
}

/* Leaves what ends something to the process, if there is one: then it doesn't return. */
INLINE void yield_end(struct __sk_buff *skb, const struct fastpath_conf *c,
                      struct fastpath_counts *n, enum side side, const uint8_t *tcp)
{
	if (!ends(tcp))
		return;
	if (is_well(c))
		punt(skb, side);
	n->unattended[side]++;
}

/* Judges and notes the segment, of len bytes of TCP, and gives the frame, whose bytes begin at eth,
 * its MAC addresses. False if that, and the rest, is the process's; nothing has changed then. */
INLINE bool admit(struct __sk_buff *skb, const struct fastpath_conf *c, const struct found *found,
                  const struct hop *from, uint8_t *eth, const uint8_t *tcp, uint32_t len,
                  struct hop *ret_to)
{
	const uint32_t bytes = skb->len + (skb->vlan_present ? FRAME_TAG_BYTES : 0);
	uint32_t i = found->part->base[TABLE_COLD] + found->f - found->part->base[TABLE_FLOWS];
	struct flow_cold *counted = bpf_map_lookup_elem(&cold, &i);
	struct packet packet;

	if (!counted || !find_way(found, from, ret_to) || !can_tag(ret_to) ||
	    !fits(skb, &c->sides[ret_to->side]) || !c->sides[ret_to->side].ifindex)
		return false;
	parse_segment(tcp, len, TCP_ACK | (tcp[TCP_FLAGS] & TCP_FIN), &packet);
	if (!(tcp[TCP_FLAGS] & TCP_RST) &&
	    !lane_note(found->flow, found->end & 1, &packet, &found->lane, tick_now(found->head)))
		return false;
	lane_count(counted, found->end & 1, 1, bytes);
	__builtin_memcpy(eth + ETH_DST, &ret_to->mac, sizeof(ret_to->mac));
	__builtin_memcpy(eth + ETH_SRC, &c->sides[ret_to->side].mac, sizeof(ret_to->mac));
	return true;
}

INLINE void set_ports(uint8_t *tcp, const struct tuple *to)
{
	const uint32_t ports = tuple_ports(to);

	__builtin_memcpy(tcp + TCP_SRC, &ports, sizeof(ports));
}

/* Forwards a segment of an open flow; returns -1 if the frame is none, or another one's to decide.
 */
INLINE int forward4(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side)
{
	const uint32_t l3 = skb->cb[FASTPATH_CB_L3] & 31, to_us = !skb->cb[FASTPATH_CB_CROSSES];
	uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint8_t *ip = data + l3, *tcp = ip + IPV4_HEADER_BYTES;
	struct hop from, to;
	struct tuple arrives;
	struct found found;
	csum_acc addresses;
	uint32_t len;

	if (data + ETH_HEADER_BYTES > end || tcp + TCP_HEADER_BYTES > end)
		return -1;
	len = be16_get(be16_load(ip + IPV4_TOTAL_LENGTH)) - IPV4_HEADER_BYTES;
	if (!is_plain(skb, data, tcp, l3 + IPV4_HEADER_BYTES, len))
		return -1;
	yield_end(skb, c, n, side, tcp);
	if (!read_hop(skb, data, l3, side, &from))
		return -1;
	tuple_load_addresses(&arrives, ip + IPV4_SRC);
	tuple_load_ports(&arrives, tcp + TCP_SRC);
	if (!find(&arrives, share_address(to_us ? arrives.src : arrives.dst), to_us, &found) ||
	    !admit(skb, c, &found, &from, data, tcp, len, &to))
		return -1;
	addresses = rewrite_ipv4(ip, &arrives, &found.lane.to);
	set_ports(tcp, &found.lane.to);
	update_checksum(skb, l3 + IPV4_HEADER_BYTES + TCP_CHECKSUM, addresses, &arrives,
	                &found.lane.to, true);
	return leave(skb, c, n, side, &to);
}

/* The name of an address, its halves given: that of the rules, or a hash. As it stands in memory.
 */
static __noinline uint32_t name_address(uint64_t high, uint64_t low, uint32_t vlan)
{
	const uint64_t known = look_up(high, low, 1, vlan);
	const uint64_t words[] = {high, low};
	uint32_t zero = 0;
	struct table_head *h = bpf_map_lookup_elem(&head, &zero);
	struct hash_key key;
	struct ip6 address;
	be32 name;

	if (known || !h)
		return (uint32_t)(known >> 32);
	key = (struct hash_key){{h->key[0], h->key[1]}};
	__builtin_memcpy(&address, words, sizeof(address));
	name = name_hashed(&key, &address);
	return word32_load(&name);
}

INLINE be32 name_at(const uint8_t *ip, uint16_t vlan)
{
	const uint32_t name = name_address(word64_load(ip), word64_load(ip + 8), vlan);
	be32 ret;

	__builtin_memcpy(&ret, &name, sizeof(ret));
	return ret;
}

/* The address of that name: one of the rules, or the flow's client; NULL if there is none. */
INLINE const struct ip6 *address_of(be32 name, const struct ip6 *client)
{
	const uint32_t i = name_index(name);

	return name_is_hashed(name) ? client : bpf_map_lookup_elem(&names, &i);
}

/* If the address that goes by a hash, if one does, is the flow's client's. */
INLINE bool is_client(be32 name, const uint8_t *ip, const struct ip6 *client)
{
	return !name_is_hashed(name) || (word64_load(ip) == word64_load(client->b) &&
	                                 word64_load(ip + 8) == word64_load(client->b + 8));
}

/* Word by word, for want of room on the stack. Returns the change in their sum. */
INLINE csum_acc replace_ip6(uint8_t *at, const struct ip6 *to)
{
	csum_acc change = 0;

	for (unsigned i = 0; i < sizeof(*to); i += sizeof(uint32_t)) {
		const uint32_t word = *(const volatile uint32_t *)(to->b + i);

		change += csum_change_word(*(volatile uint32_t *)(at + i), word);
		*(volatile uint32_t *)(at + i) = word;
	}
	return change;
}

/* share_address6() of one in a packet. */
INLINE uint32_t share_at(const struct fastpath_conf *c, const uint8_t *ip)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < sizeof(struct ip6); i += sizeof(uint32_t))
		hash = hash * c->share.salt + bpf_ntohl(*(const volatile uint32_t *)(ip + i));
	return hash;
}

/* The same for IPv6. Its header has no checksum: what the kernel has summed up of the whole packet
 * (CHECKSUM_COMPLETE) stays right, which bpf_l4_csum_replace() doesn't know before Linux 6.16. */
INLINE int forward6(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side)
{
	const uint32_t l3 = skb->cb[FASTPATH_CB_L3] & 31, to_us = !skb->cb[FASTPATH_CB_CROSSES];
	uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint8_t *ip = data + l3, *tcp = ip + IPV6_HEADER_BYTES;
	const struct ip6 *client, *src, *dst;
	const bool is_complete = bpf_csum_update(skb, 0) >= 0;
	uint32_t len, i;
	struct hop from, to;
	struct tuple arrives;
	struct found found;
	csum_acc addresses;

	if (!c->client6 || data + ETH_HEADER_BYTES > end || tcp + TCP_HEADER_BYTES > end)
		return -1;
	len = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	if (!is_plain(skb, data, tcp, l3 + IPV6_HEADER_BYTES, len))
		return -1;
	yield_end(skb, c, n, side, tcp);
	if (!read_hop(skb, data, l3, side, &from))
		return -1;
	arrives.src = name_at(ip + IPV6_SRC, hop_vlan(&from));
	arrives.dst = name_at(ip + IPV6_DST, hop_vlan(&from));
	tuple_load_ports(&arrives, tcp + TCP_SRC);
	if (!find(&arrives, share_at(c, to_us ? ip + IPV6_SRC : ip + IPV6_DST), to_us, &found))
		return -1;
	i = found.part->base[TABLE_CLIENT6] + found.f - found.part->base[TABLE_FLOWS];
	client = bpf_map_lookup_elem(&client6, &i);
	if (!client || !is_client(arrives.src, ip + IPV6_SRC, client) ||
	    !is_client(arrives.dst, ip + IPV6_DST, client))
		return -1;
	src = address_of(found.lane.to.src, client);
	dst = address_of(found.lane.to.dst, client);
	if (!src || !dst || !admit(skb, c, &found, &from, data, tcp, len, &to))
		return -1;
	addresses = replace_ip6(ip + IPV6_SRC, src) + replace_ip6(ip + IPV6_DST, dst);
	set_ports(tcp, &found.lane.to);
	update_checksum(skb, l3 + IPV6_HEADER_BYTES + TCP_CHECKSUM, addresses, &arrives,
	                &found.lane.to, !is_complete);
	return leave(skb, c, n, side, &to);
}

INLINE bool can_read(struct __sk_buff *skb, uint32_t bytes)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return data + bytes <= end || (skb->len >= bytes && bpf_skb_pull_data(skb, bytes) == 0);
}

INLINE int receive_flow(struct __sk_buff *skb, enum side side, bool ipv6)
{
	const uint32_t headers =
	        ipv6 ? IPV6_HEADER_BYTES + TCP_HEADER_BYTES : IPV4_HEADER_BYTES + TCP_HEADER_BYTES;
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();
	struct link_head head;
	int act;

	if (!c || !n)
		return TC_ACT_SHOT;
	if (!c->held && can_read(skb, (skb->cb[FASTPATH_CB_L3] & 31) + headers)) {
		act = ipv6 ? forward6(skb, c, n, side) : forward4(skb, c, n, side);
		if (act >= 0)
			return act;
	}
	if (skb->cb[FASTPATH_CB_CROSSES])
		return read_link(skb, &head) ? leave_to_process(skb, c, n, side, &head)
		                             : TC_ACT_SHOT;
	punt(skb, side);
	n->unattended[side]++;
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
int outside_flow(struct __sk_buff *skb)
{
	return skb->cb[FASTPATH_CB_IPV6] ? TC_ACT_UNSPEC : receive_flow(skb, OUTSIDE, false);
}

SEC("tc")
int outside_flow6(struct __sk_buff *skb)
{
	return receive_flow(skb, OUTSIDE, true);
}

SEC("tc")
int inside_flow(struct __sk_buff *skb)
{
	return skb->cb[FASTPATH_CB_IPV6] ? TC_ACT_UNSPEC : receive_flow(skb, INSIDE, false);
}

SEC("tc")
int inside_flow6(struct __sk_buff *skb)
{
	return receive_flow(skb, INSIDE, true);
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
