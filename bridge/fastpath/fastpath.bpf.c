/*
 * The programs in the kernel, at tc ingress of both ports.
 *
 * For each port there are two, one behind the other. The first one (outside, inside) decides what a
 * frame is and lets the wire cross; it writes into no frame, so that the kernel need not make
 * copies of frames that others hold as well, as TCP does of what it sends. What is TCP to us it
 * leaves to the second one (outside_flow, inside_flow), which finds the flow and rewrites.
 *
 * What neither can do is left to the process: a tail call sends it to the punt device, on which the
 * workers listen. The array for this tail call is pinned nowhere, so the kernel empties it when the
 * process ends, however it ends: then the tail call fails, and the program knows at once that there
 * is no process.
 */
#include "answer.bpf.h"
#include "filter.bpf.h"
#include "host.bpf.h"
#include "segment4.bpf.h"
#include "segment6.bpf.h"

/* Of which flow what is TCP may be, for the second program; 0 if that finds it out itself. */
INLINE uint32_t foresee(const struct __sk_buff *skb, const struct fastpath_conf *c,
                        const struct link_head *head)
{
	const uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const uint8_t *ip = data + ETH_HEADER_BYTES, *tcp = ip + IPV4_HEADER_BYTES;

	if (c->share.n > 1 || head->ethertype != ETHERTYPE_IPV4 || head->l3 != ETH_HEADER_BYTES ||
	    tcp + TCP_HEADER_BYTES > end)
		return 0;
	return foresee4(ip + IPV4_SRC, tcp + TCP_SRC);
}

/* Goes on to the second program; crosses says that the frame crosses if it belongs to no flow. */
INLINE int go_on_to_flow(struct __sk_buff *skb, const struct fastpath_conf *c,
                         const struct link_head *head, bool crosses)
{
	skb->cb[FASTPATH_CB_GUESS] = foresee(skb, c, head);
	skb->cb[FASTPATH_CB_L3] = head->l3;
	skb->cb[FASTPATH_CB_CROSSES] = crosses;
	skb->cb[FASTPATH_CB_IPV6] =
	        head->ethertype == ETHERTYPE_IPV6 ? 1 | jumbo6(skb, head->l3) : 0;
	return TC_ACT_UNSPEC;
}

INLINE bool is_own_mac(const struct fastpath_conf *c, uint64_t mac)
{
	return mac == c->sides[OUTSIDE].mac || mac == c->sides[INSIDE].mac;
}

/* On a cable: if the frame is sent to a port's own MAC address, and so isn't bridged. */
INLINE bool is_for_host(const struct fastpath_conf *c, enum what what, const struct link_head *head)
{
	return (what == WIRE || what == TOLD) && is_own_mac(c, head->dst);
}

/* Drops UDP to our addresses. During a capture the process gets it, so that the capture has it, and
 * drops it. */
INLINE int drop_udp(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side)
{
	if (c->held == FASTPATH_HELD && is_well(c))
		punt(skb, side);
	return drop(skb, n, side, WHY_PROTOCOL_NOT_SERVED);
}

/* While this isn't active it is the guard, behind all programs, that keeps from the host's stack
 * what is ours. */
INLINE int receive(struct __sk_buff *skb, enum side side)
{
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();
	struct link_head head;
	enum what what = WIRE;
	bool is_loop;
	int act;

	if (!c || !n || !c->active)
		return TC_ACT_UNSPEC;
	if (!read_link(skb, &head))
		return TC_ACT_OK;
	is_loop = is_own_mac(c, head.src);
	if (!is_loop)
		what = judge(skb, &head, table_of(c));
	if (c->filtered && (act = filtered(skb, c, n, side, &head, what,
	                                   is_loop || is_for_host(c, what, &head))) >= 0)
		return act;
	if (is_loop)
		return drop(skb, n, side, WHY_LOOP);
	switch (what) {
	case WIRE:
		return pass(skb, c, n, side, &head, false);
	case TOLD:
		return pass(skb, c, n, side, &head, true);
	case OURS_UDP:
		return drop_udp(skb, c, n, side);
	case OURS_TCP:
	case SNAT_OFF_TCP:
		return go_on_to_flow(skb, c, &head, what == SNAT_OFF_TCP);
	case OURS:
		punt(skb, side);
		n->unattended[side]++;
		return answer(skb, c, side, &head);
	case SNAT_OFF:
		return leave_to_process(skb, c, n, side, &head);
	case HOSTS:
		break;
	}
	return TC_ACT_SHOT;
}

/* The same where the host has what isn't ours. */
INLINE int receive_beside_host(struct __sk_buff *skb, enum side side)
{
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();
	struct link_head head;
	enum what what = HOSTS;
	bool is_loop, is_others;
	int act;

	if (!c || !n || !c->active || !read_link(skb, &head))
		return TC_ACT_UNSPEC;
	is_loop = is_own_mac(c, head.src);
	is_others = !(head.dst & 1) && head.dst != c->sides[side].mac;
	if (!is_loop && !is_others)
		what = judge_here(skb, &head, side);
	if (c->filtered &&
	    (act = filtered(skb, c, n, side, &head, what, what == HOSTS || what == TOLD)) >= 0)
		return act;
	if (is_loop)
		return drop(skb, n, side, WHY_LOOP);
	if (is_others)
		return leave_to_host(skb, n, side, WHY_OTHER_HOST);
	switch (what) {
	case TOLD:
		return tell_both(skb, c, n, side);
	case OURS_UDP:
		return drop_udp(skb, c, n, side);
	case OURS_TCP:
		return go_on_to_flow(skb, c, &head, false);
	case OURS:
		punt(skb, side);
		n->unattended[side]++;
		return answer(skb, c, side, &head);
	default:
		return leave_to_host(skb, n, side, WHY_TO_HOST);
	}
}

INLINE bool can_read(struct __sk_buff *skb, uint32_t bytes)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return data + bytes <= end || (skb->len >= bytes && bpf_skb_pull_data(skb, bytes) == 0);
}

/*
 * If segments of flows must go to the process for now (conf.held): then this doesn't return, unless
 * the host's stack gets the frame as well. If there is no process the frame goes on and is looked
 * up as a flow's: if it crossed as it is, a client would get its server's segments untranslated and
 * reset the connection.
 */
INLINE bool is_held(struct __sk_buff *skb, const struct fastpath_conf *c, enum side side)
{
	struct link_head head;

	if (!c->held || (c->held == FASTPATH_HELD && !is_well(c)))
		return false;
	if (skb->cb[FASTPATH_CB_CROSSES] &&
	    (c->held == FASTPATH_RENAMED || !read_link(skb, &head) || is_own_mac(c, head.dst)))
		return true;
	punt(skb, side);
	return c->held == FASTPATH_RENAMED;
}

INLINE int receive_flow(struct __sk_buff *skb, enum side side, bool ipv6)
{
	const uint32_t headers =
	        ipv6 ? IPV6_HEADER_BYTES + TCP_HEADER_BYTES : IPV4_HEADER_BYTES + TCP_HEADER_BYTES;
	struct fastpath_conf *c = find_conf();
	struct fastpath_counts *n = find_counts();
	struct link_head head;
	int act = FORWARD_UNKNOWN;

	if (!c || !n)
		return TC_ACT_SHOT;
	if (!c->active)
		return TC_ACT_UNSPEC;
	if (!is_held(skb, c, side) && can_read(skb, (skb->cb[FASTPATH_CB_L3] & 31) + headers)) {
		act = ipv6 ? forward6(skb, c, n, side) : forward4(skb, c, n, side);
		if (act >= 0)
			return act;
	}
	if (skb->cb[FASTPATH_CB_CROSSES] && act != FORWARD_LEFT)
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
int outside_host(struct __sk_buff *skb)
{
	return receive_beside_host(skb, OUTSIDE);
}

SEC("tc")
int inside_host(struct __sk_buff *skb)
{
	return receive_beside_host(skb, INSIDE);
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

/* For the punt devices: whoever is behind the workers' sockets gets no frame, and none is sent. */
SEC("tc")
int nobody(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_SHOT;
}

/* some helpers are for programs under the GPL */
char bpf_license[] SEC("license") = "Dual BSD/GPL";
