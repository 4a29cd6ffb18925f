/*
 * How far a balanced TCP connection has got, as seen from the middle.
 */
#ifndef LB_TCP_H
#define LB_TCP_H

#include "flow.h"
#include "parse.h"
#include "wire.h"

/* What a packet means for the flow's life; several may come at once. */
enum {
	TCP_OPENED = 1 << 0,      /* the handshake is complete */
	TCP_HALF_CLOSED = 1 << 1, /* the first FIN */
	TCP_BOTH_CLOSED = 1 << 2, /* both ends have sent FIN */
	TCP_ENDED = 1 << 3,       /* both FINs are acknowledged */
	TCP_RESET = 1 << 4,       /* a RST to be believed */
};

/* bytes before the last acknowledgment: what is sent again, or tells of an error, may be late */
#define TCP_LATELY (1u << 20)

static inline bool tcp_seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* If at is a place in what end has sent lately or may send now. One byte beyond the window is a
 * zero-window probe, which may be taken (RFC 9293, 3.8.6.1). */
static inline bool tcp_is_near(const struct flow *flow, enum end end, uint32_t at)
{
	return !tcp_seq_after(flow->acked[end_other(end)] - TCP_LATELY, at) &&
	       !tcp_seq_after(at, flow->limit[end] + 1);
}

/* The window that end offers in packet, in bytes; that of a SYN is never scaled. */
static inline uint32_t tcp_window(const struct flow *flow, enum end end,
                                  const struct packet *packet)
{
	uint8_t shift = packet->tcp_flags & TCP_SYN ? 0 : flow_wscale(flow, end);

	return (uint32_t)packet->window << shift;
}

/* Notes what end acknowledges, unless it is old news, and how far the other one may send now. */
static inline void tcp_advance_ack(struct flow *flow, enum end end, const struct packet *packet)
{
	enum end sender = end_other(end);
	uint32_t limit = packet->ack + tcp_window(flow, end, packet);

	if (tcp_seq_after(flow->acked[end], packet->ack))
		return;
	flow->limit[sender] =
	        tcp_seq_after(limit, flow->limit[sender]) ? limit : flow->limit[sender];
	flow->next_seq[sender] = tcp_seq_after(packet->ack, flow->next_seq[sender])
	                                 ? packet->ack
	                                 : flow->next_seq[sender];
	flow->acked[end] = packet->ack;
}

static inline void tcp_advance_seq(struct flow *flow, enum end end, const struct packet *packet)
{
	uint32_t next = packet->seq + packet->seq_len;
	bool counts = tcp_seq_after(next, flow->next_seq[end]) &&
	              !tcp_seq_after(next, flow->limit[end] + 1) && !(packet->tcp_flags & TCP_SYN);

	flow->next_seq[end] = counts ? next : flow->next_seq[end];
}

/*
 * Notes what a segment that is no RST does to the sequence numbers of an open or closing flow.
 * False if it can't be one of the connection: then it does nothing. Its receiver would take an
 * acknowledgment as old as the widest window that it has offered (RFC 5961, 5.2), which isn't
 * remembered: TCP_LATELY.
 */
static inline bool tcp_advance(struct flow *flow, enum end end, const struct packet *packet)
{
	if (!(packet->tcp_flags & TCP_ACK) || !tcp_is_near(flow, end, packet->seq) ||
	    !tcp_is_near(flow, end_other(end), packet->ack))
		return false;
	tcp_advance_ack(flow, end, packet);
	tcp_advance_seq(flow, end, packet);
	return true;
}

/*
 * Notes what packet, which came from end, does to a live flow's sequence numbers and flags. Returns
 * TCP_OPENED ... The state is the caller's to change (balance.c). Of an open flow, what has neither
 * SYN, FIN nor RST does what tcp_advance() does, and no more.
 */
unsigned tcp_track(struct flow *flow, enum end end, const struct packet *packet);

/* To be called when, upon TCP_OPENED for this packet, the flow's state is to become FLOW_OPEN. */
void tcp_opened(struct flow *flow, const struct packet *packet);

/*
 * If the packet is what end may send next, or again, on an open connection: it begins with what is
 * in flight or comes next, and acknowledges what is. So does nothing that a stranger makes up.
 */
bool tcp_goes_on(const struct flow *flow, enum end end, const struct packet *packet);

/* To be called when a flow that was reset is to live again: the windows are what they can be at
 * most.
 */
void tcp_revived(struct flow *flow);

/*
 * If end may have sent a segment with this sequence number lately: what an ICMP error must quote to
 * be believed (RFC 5927, 4.1).
 */
bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq);

#endif
