/*
 * A segment of an open flow, whichever the version of IP: judged and noted as lb/lane.h has it,
 * then sent off.
 */
#ifndef BRIDGE_SEGMENT_BPF_H
#define BRIDGE_SEGMENT_BPF_H

#include "cross.bpf.h"
#include "summed.bpf.h"
#include "way.bpf.h"
#include "../../lb/ttl.h"

enum { SEGMENT_BYTES_MAX = 1 << 20 }; /* more than the kernel merges */

/* What forward4() and forward6() return for a frame that they don't send: it is of no open flow
 * that they find; or it is, but must be judged or sent by the process. */
enum { FORWARD_UNKNOWN = -1, FORWARD_LEFT = -2 };

/*
 * Has the kernel, which knows of which kind it is, change the checksum at that place in the frame.
 */
INLINE void update_by_kernel(struct __sk_buff *skb, uint32_t at, csum_acc addresses,
                             const struct tuple *from, const struct tuple *to)
{
	const uint32_t was = tuple_ports(from), is = tuple_ports(to);
	const bool pseudo = !skb->cb[FASTPATH_CB_IPV6] || bpf_csum_update(skb, 0) < 0;

	bpf_l4_csum_replace(skb, at, 0, csum_fold(addresses), pseudo ? BPF_F_PSEUDO_HDR : 0);
	if (was != is)
		bpf_l4_csum_replace(skb, at, 0, csum_fold(csum_change_word(was, is)), 0);
}

/* Changes TCP's checksum by what has changed: in the pseudo header by that much, and in the ports,
 * which a partial one doesn't hold. tcp is at bytes into the frame. */
INLINE void update_checksum(struct __sk_buff *skb, uint8_t *tcp, uint32_t at, csum_acc addresses,
                            const struct tuple *from, const struct tuple *to)
{
	const csum_acc ports = csum_change_word(tuple_ports(from), tuple_ports(to));

	switch (summed(skb)) {
	case SUMMED_NOT:
	case SUMMED_CHECKED:
		csum_update(tcp + TCP_CHECKSUM, addresses + ports);
		break;
	case SUMMED_PARTIAL:
		csum_update_partial(tcp + TCP_CHECKSUM, addresses);
		break;
	default:
		update_by_kernel(skb, at + TCP_CHECKSUM, addresses, from, to);
	}
}

INLINE uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* As parse_is_plain() has it, of a frame whose IP header the first program has looked at: at is
 * where TCP begins in the frame, of len bytes as IP says. */
INLINE bool is_plain(const struct __sk_buff *skb, const uint8_t *eth, const uint8_t *tcp,
                     uint32_t at, uint32_t len)
{
	const uint32_t header = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;

	return !(eth[ETH_SRC] & 1) && header >= TCP_HEADER_BYTES && len <= SEGMENT_BYTES_MAX &&
	       len >= header && skb->len >= at + len && !(tcp[TCP_FLAGS] & TCP_SYN) &&
	       tcp[TCP_FLAGS] & (TCP_ACK | TCP_RST);
}

/* If the frame, with that many bytes of headers behind layer 2, isn't too long for that port: as a
 * router counts, or as a cable does. */
INLINE bool goes_by(const struct __sk_buff *skb, const struct fastpath_conf *c, enum side side,
                    uint32_t headers)
{
	const struct fastpath_side *out = &c->sides[side];

	if (!out->ifindex)
		return false;
	if (!c->routes)
		return fits(skb, out);
	return (skb->gso_size ? headers + skb->gso_size : skb->len - ETH_HEADER_BYTES) <= out->mtu;
}

/* The sum, but for the length, of the pseudo header of the TCP segment at that place; false if an
 * IPv4 header is damaged. */
INLINE bool sum_pseudo(struct __sk_buff *skb, uint32_t at, uint32_t *ret)
{
	uint32_t ip[2 * sizeof(struct ip6) / sizeof(uint32_t)] = {0}; /* IPv6 addresses, or so */

	*ret = bpf_htons(IPPROTO_NUM_TCP);
	if (skb->cb[FASTPATH_CB_IPV6]) {
		if (bpf_skb_load_bytes(skb, ETH_HEADER_BYTES + IPV6_SRC, ip, sizeof(ip)) < 0)
			return false;
		*ret = (uint32_t)bpf_csum_diff(NULL, 0, ip, sizeof(ip), *ret);
		return true;
	}
	if (bpf_skb_load_bytes(skb, at - IPV4_HEADER_BYTES, ip, IPV4_HEADER_BYTES) < 0 ||
	    fold((uint32_t)bpf_csum_diff(NULL, 0, ip, IPV4_HEADER_BYTES, 0)) != UINT16_MAX)
		return false;
	*ret = (uint32_t)bpf_csum_diff(NULL, 0, ip + IPV4_SRC / sizeof(*ip), 2 * sizeof(be32),
	                               *ret);
	return true;
}

/*
 * If the checksum of a segment is right, as far as that costs little: it is partial, as of all that
 * is merged; or there are no data; or the port has found it right. at is where TCP begins in the
 * frame, data how many bytes are behind its header.
 */
static __noinline int is_intact(struct __sk_buff *skb, uint32_t at, uint32_t data)
{
	PART(tcp, TCP_HEADER_BYTES_MAX) = {0};
	uint32_t pseudo, sum, len;
	uint16_t field;

	if (!load(skb, at, tcp, TCP_HEADER_BYTES) || !sum_pseudo(skb, at, &pseudo))
		return 0;
	len = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;
	if (len < TCP_HEADER_BYTES || len > sizeof(tcp) ||
	    bpf_skb_load_bytes(skb, at, tcp, len) < 0)
		return 0;
	len += data;
	pseudo = fold(pseudo) + bpf_htons((uint16_t)len) + bpf_htons((uint16_t)(len >> 16));
	__builtin_memcpy(&field, tcp + TCP_CHECKSUM, sizeof(field));
	if (field == fold(pseudo))
		return 1;
	if (data)
		return bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0;
	sum = (uint32_t)bpf_csum_diff(NULL, 0, (uint32_t *)(void *)tcp, sizeof(tcp), pseudo);
	return fold(sum) == UINT16_MAX;
}

INLINE int leave(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 enum side side, const struct hop *to)
{
	const enum side out = to->side;

	count(skb, n, side, WHY_FLOW_HIT);
	if (!tag(skb, to)) {
		n->unsent[out]++;
		return TC_ACT_SHOT;
	}
	count_sent(skb, c, n, out, true);
	return bpf_redirect(c->sides[out].ifindex, 0);
}

/* The time in ticks, found out once while the kernel's own count stays the same. The coarse clock
 * may be a few ms behind the one that the table was made by. */
INLINE uint32_t tick_now(struct fastpath_clock *clock, const struct table_head *h)
{
	const uint64_t jiffies = bpf_jiffies64(), epoch = h->epoch_ns;
	uint64_t now;

	if (clock->jiffies == jiffies && clock->epoch_ns == epoch)
		return (uint32_t)clock->tick;
	now = bpf_ktime_get_coarse_ns();
	clock->jiffies = jiffies;
	clock->epoch_ns = epoch;
	clock->tick = now > epoch ? flow_tick((lb_time){now}, (lb_time){epoch}) : 0;
	return (uint32_t)clock->tick;
}

INLINE bool is_well(const struct fastpath_conf *c)
{
	const uint64_t now = bpf_ktime_get_coarse_ns();

	return now < c->alive_ns || now - c->alive_ns < FASTPATH_STALE_NS;
}

/* Where what is noted of a flow's end stands. */
struct notes_place {
	uint64_t *word, *group;
	uint32_t flow; /* in its worker's part */
};

INLINE bool find_notes(const struct found *found, struct notes_place *ret)
{
	uint32_t i = place_of(found->part, TABLE_NOTES, notes_at(found->f));

	ret->flow = found->f;
	ret->word = bpf_map_lookup_elem(&notes, &i);
	i = place_of(found->part, TABLE_NOTES, notes_group_at(found->head->flows, found->f));
	ret->group = bpf_map_lookup_elem(&notes, &i);
	return ret->word && ret->group;
}

/* Notes a segment if it is acceptable, and in the notes if its end has ended; false if it isn't
 * acceptable. */
INLINE bool note_last(const struct found *found, const struct packet *packet, uint32_t now)
{
	struct notes_place at;
	uint8_t how;

	if (!find_notes(found, &at) || !lane_note_last(found->flow, found->end & 1, packet, now,
	                                               notes_of(at.word, at.flow), &how))
		return false;
	if (how)
		notes_put(found->head, at.word, at.group, at.flow, how);
	return true;
}

/*
 * Judges and notes the segment. One that isn't expected passes here if it is acceptable, known to
 * be intact, comes from where the flow's packets come, and is no RST: so a segment behind a gap, or
 * out of order, isn't delayed behind the others. Any other one is left to the process, and this
 * doesn't return then. If there is no process that is well, the segment is noted if it is
 * acceptable, and passes in any case, as the process would pass it. at is where TCP begins.
 */
INLINE void note(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 const struct found *found, bool is_elsewhere, const struct packet *packet,
                 uint32_t at, enum side side)
{
	const uint32_t now = tick_now(&n->clock, found->head);
	const uint8_t ends = packet->tcp_flags & (TCP_FIN | TCP_RST);
	bool is_left; /* to the process */

	if (!is_elsewhere && !ends && lane_note(found->flow, found->end & 1, packet, now))
		return;
	is_left = is_elsewhere || ends & TCP_RST ||
	          !is_intact(skb, at, packet->seq_len - (ends ? 1 : 0));
	if (is_left && is_well(c))
		punt(skb, side);
	if (!is_elsewhere && note_last(found, packet, now) && !is_left)
		return;
	if (!is_left && is_well(c))
		punt(skb, side);
	n->unattended[side]++;
}

/* Adds to what the flows of this flow's server have carried; under the number that the flow has for
 * it, if the server's place isn't known. */
INLINE void sum_up(const struct fastpath_conf *c, const struct found *found,
                   const struct tuple *arrives, uint64_t bytes)
{
	struct fastpath_way *way;
	uint8_t known;

	if (!bytes)
		return;
	way = find_way_to(c, found, arrives, &known);
	if (!way && (!(way = way_at(BOTH_READ(c->ways_half), found)) || BOTH_READ(way->known)))
		return;
	BOTH_ADD(way->sum.bytes[found->end & 1], bytes);
}

/* Has the frame, whose bytes begin at eth, go to that hop by that port. */
INLINE void put_macs(uint8_t *eth, const union hop_copy *to, const struct fastpath_side *out)
{
	const uint32_t *from = (const void *)&out->mac;

	word32_store(eth + ETH_DST, to->words[0]);
	word16_store(eth + ETH_DST + sizeof(uint32_t), word16_load(&to->words[1]));
	word32_store(eth + ETH_SRC, from[0]);
	word16_store(eth + ETH_SRC + sizeof(uint32_t), word16_load(&from[1]));
}

/*
 * Judges and notes the segment, of len bytes of TCP, which begin at tcp, at bytes into the frame;
 * and writes the frame's MAC addresses, at eth. False if it must be left to the process: then
 * nothing has changed.
 */
INLINE bool admit(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                  const struct found *found, const struct tuple *arrives, uint8_t *eth,
                  const uint8_t *tcp, uint32_t at, uint32_t len, enum side side,
                  union hop_copy *ret_to)
{
	const uint32_t headers = at - ETH_HEADER_BYTES + (tcp[TCP_DATA_OFFSET] >> 4) * 4u;
	struct packet packet;
	bool is_elsewhere = false;

	if (!find_way(skb, c, found, arrives, eth, side, ret_to, &is_elsewhere) ||
	    !can_tag(&ret_to->hop) || !goes_by(skb, c, ret_to->hop.side, headers))
		return false;
	parse_segment(tcp, len, tcp[TCP_FLAGS] & (TCP_ACK | TCP_FIN | TCP_RST), &packet);
	note(skb, c, n, found, is_elsewhere, &packet, at, side);
	sum_up(c, found, arrives, lane_count(found->cold, found->end & 1, 1, bytes_of(skb)));
	put_macs(eth, ret_to, &c->sides[ret_to->hop.side]);
	return true;
}

INLINE void set_ports(uint8_t *tcp, const struct tuple *to)
{
	const uint32_t ports = tuple_ports(to);

	word32_store(tcp + TCP_SRC, ports);
}

#endif
