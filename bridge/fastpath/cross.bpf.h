/*
 * What becomes of a frame that the first program has judged: it crosses, is the host's, or is left
 * to the process.
 */
#ifndef BRIDGE_CROSS_BPF_H
#define BRIDGE_CROSS_BPF_H

#include "judge.bpf.h"

INLINE uint32_t bytes_of(const struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? FRAME_TAG_BYTES : 0);
}

INLINE void count(const struct __sk_buff *skb, struct fastpath_counts *n, enum side side,
                  enum lb_why why)
{
	n->received[side]++;
	n->received_bytes[side] += bytes_of(skb);
	n->whys[why]++;
}

/* Counts a frame that is about to be sent by that port, or was not taken. Without a link it is sent
 * nevertheless: that may have come back a moment ago, and there may be no process to say so. */
INLINE void count_sent(const struct __sk_buff *skb, const struct fastpath_conf *c,
                       struct fastpath_counts *n, enum side side, bool is_taken)
{
	if (!is_taken || c->sides[side].is & FASTPATH_NO_LINK) {
		n->unsent[side]++;
		return;
	}
	n->sent[side]++;
	n->sent_bytes[side] += bytes_of(skb);
}

INLINE int drop(const struct __sk_buff *skb, struct fastpath_counts *n, enum side side,
                enum lb_why why)
{
	count(skb, n, side, why);
	return TC_ACT_SHOT;
}

/* Sends the frame to the process's punt device, and only returns if there is no process. */
INLINE void punt(struct __sk_buff *skb, enum side side)
{
	bpf_tail_call(skb, &attendant, side);
}

enum { SENT_CONGESTED = 2 }; /* NET_XMIT_CN: this frame went, or one of another flow didn't */

/* Sends a copy by an interface. Returns false if the kernel had no room for it. */
INLINE bool copy_to(struct __sk_buff *skb, uint32_t ifindex, uint64_t flags)
{
	const long err = bpf_clone_redirect(skb, ifindex, flags);

	return !err || err == SENT_CONGESTED;
}

/* Sends a copy to the process, if there is one, which counts the frame. Returns false if there was
 * no room for it: then the copy is missed (fastpath_refused()), and the frame isn't counted yet. */
INLINE bool tell(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 enum side side)
{
	if (!copy_to(skb, c->sides[side].punt, BPF_F_INGRESS))
		return false;
	n->punted[side]++;
	return true;
}

INLINE bool fits(const struct __sk_buff *skb, const struct fastpath_side *out)
{
	return skb->len <= out->mtu + ETH_HEADER_BYTES + BRIDGE_VLAN_BYTES || skb->gso_size;
}

/* Sends the frame to the other port, and where the host has an address a copy to its stack. */
INLINE int cross(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                 enum side side, bool is_group)
{
	const struct fastpath_side *out = &c->sides[!side];
	bool shared = is_group && c->sides[side].is & FASTPATH_HOSTS;

	if (!out->ifindex || !fits(skb, out)) {
		n->unsent[!side]++;
		return shared ? TC_ACT_OK : TC_ACT_SHOT;
	}
	count_sent(skb, c, n, !side, !shared || copy_to(skb, out->ifindex, 0));
	return shared ? TC_ACT_OK : bpf_redirect(out->ifindex, 0);
}

/* Passes on a frame that isn't addressed to us; told: the process gets a copy, and counts it. */
INLINE int pass(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                enum side side, const struct link_head *head, bool told)
{
	bool to_host = head->dst == c->sides[OUTSIDE].mac || head->dst == c->sides[INSIDE].mac;

	if (!told || !tell(skb, c, n, side))
		count(skb, n, side, to_host ? WHY_TO_HOST : WHY_NOT_OURS);
	return to_host ? TC_ACT_OK : cross(skb, c, n, side, head->dst & 1);
}

/* Leaves a frame to the process, which crosses unless it belongs to a flow. If it is sent to the
 * host's own MAC address the host's stack gets it as well. */
INLINE int leave_to_process(struct __sk_buff *skb, const struct fastpath_conf *c,
                            struct fastpath_counts *n, enum side side, const struct link_head *head)
{
	if (head->dst == c->sides[OUTSIDE].mac || head->dst == c->sides[INSIDE].mac) {
		if (!tell(skb, c, n, side))
			count(skb, n, side, WHY_TO_HOST);
		return TC_ACT_OK;
	}
	punt(skb, side);
	return pass(skb, c, n, side, head, false);
}

#endif
