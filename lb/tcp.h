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

/* What a segment is to a live flow, by tcp_judge(): what is noted of it follows from that. */
enum tcp_kind {
	TCP_STRAY,      /* no part of it, or nothing new: nothing is noted */
	TCP_ACCEPTABLE, /* its numbers are what the other end has said that they may be */
	TCP_AGAIN,      /* a SYN of the client's with other numbers: its server's answer decides */
	TCP_ANEW,       /* the server's answer to such a one: the connection begins anew */
};

/* A SYN of a live flow's client, other than the one that the flow began with, that waits for its
 * answer. */
struct tcp_syn {
	uint32_t next;  /* the sequence number after it */
	uint32_t stamp; /* as in struct packet, as is: */
	uint8_t wscale;
};

enum {
	/* bytes before the last acknowledgment: what is sent again may be late */
	TCP_LATELY = 1 << 20,
	/* bytes that a window is taken for at least, where that matters */
	TCP_WINDOW_LEAST = UINT16_MAX,
};

static inline bool tcp_seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The same, but that numbers half way round are each after the other: it takes one instruction
 * less. A segment that is refused for such numbers is refused by another test as well. */
static inline bool tcp_seq_past(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a) < 0;
}

/*
 * The later one of two numbers: b only if it is after a. Which one it is can't be guessed by the
 * processor. Compiled for the kernel's programs a choice is a branch, as that target has nothing
 * else; so there it is made of bits, which the compiler is kept from seeing through.
 */
static inline uint32_t tcp_seq_later(uint32_t a, uint32_t b)
{
#ifdef __bpf__
	const uint32_t ahead = b - a;
	uint32_t behind = ahead >> 31; /* or so far ahead that neither is after the other */

	__asm__("" : "+r"(behind));
	return a + (ahead & (behind - 1));
#else
	return tcp_seq_after(b, a) ? b : a;
#endif
}

/* The window that end offers in packet, in bytes; that of a SYN is never scaled. */
static inline uint32_t tcp_window(const struct flow *flow, enum end end,
                                  const struct packet *packet)
{
	uint8_t shift = packet->tcp_flags & TCP_SYN ? 0 : flow_wscale(flow, end);

	return (uint32_t)packet->window << shift;
}

/*
 * If a segment with ACK and neither SYN, FIN nor RST has numbers with which an open flow goes on:
 * it begins with what comes next, or with what its end has sent lately; stays within the window;
 * and acknowledges what the other end has sent lately. Nearly all segments do. Even if such a one
 * is damaged, what it says is something that its end may say: so its checksum isn't computed.
 * express.c requires no more of a segment that comes from a server, or from where the client is;
 * and this reads no other words of the flow.
 */
static inline bool tcp_is_expected(const struct flow *flow, enum end end,
                                   const struct packet *packet)
{
	const enum end other = end_other(end);
	const uint32_t next = packet->seq + packet->seq_len;

	return !tcp_seq_past(flow_acked(flow, other) - TCP_LATELY, packet->seq) &&
	       !tcp_seq_past(packet->seq, flow_next(flow, end)) &&
	       !tcp_seq_past(next, flow_limit(flow, end) + 1) &&
	       !tcp_seq_past(flow_acked(flow, end) - TCP_LATELY, packet->ack) &&
	       !tcp_seq_past(packet->ack, flow_next(flow, other));
}

/* If at is from first to last, both included. */
static inline bool tcp_is_between(uint32_t first, uint32_t at, uint32_t last)
{
	return at - first <= last - first;
}

/* If at is a sequence number that end has sent lately or may send now. One byte beyond the window
 * is allowed: it is a zero-window probe (RFC 9293, 3.8.6.1). */
static inline bool tcp_is_near_at(const struct flow *flow, enum end end, uint32_t at)
{
	return tcp_is_between(flow_acked(flow, end_other(end)) - TCP_LATELY, at,
	                      flow_limit(flow, end) + 1);
}

/*
 * If the segment, of an open or closing flow, begins with a number that its end may send and
 * acknowledges one that it may: then it is acceptable, if it comes from where its sender is known
 * to be.
 */
static inline bool tcp_is_near(const struct flow *flow, enum end end, const struct packet *packet)
{
	return tcp_is_near_at(flow, end, packet->seq) &&
	       tcp_is_near_at(flow, end_other(end), packet->ack);
}

/* If the number of a RST is one that its receiver may expect next on an open or closing flow. */
static inline bool tcp_rst_is_expected(const struct flow *flow, enum end end,
                                       const struct packet *packet)
{
	return tcp_is_between(flow_acked(flow, end_other(end)), packet->seq, flow_next(flow, end));
}

/* If the other end has acknowledged end's FIN, nothing being sent after it; and if that is so of
 * both: then the connection has ended. */
static inline bool tcp_fin_is_acked(const struct flow *flow, enum end end)
{
	return flow_acked(flow, end_other(end)) == flow_next(flow, end);
}

static inline bool tcp_is_closed(const struct flow *flow)
{
	return flow_is_closed(flow) && tcp_fin_is_acked(flow, CLIENT) &&
	       tcp_fin_is_acked(flow, SERVER);
}

/* Notes what end acknowledges, unless it has acknowledged more before, and how far the other one
 * may send now. */
static inline void tcp_advance_ack(struct flow *flow, enum end end, const struct packet *packet)
{
	const enum end sender = end_other(end);
	const uint32_t window = packet->ack + tcp_window(flow, end, packet);
	const uint32_t limit = flow_limit(flow, sender), next = flow_next(flow, sender);

	if (tcp_seq_after(flow_acked(flow, end), packet->ack))
		return;
	flow_set_limit(flow, sender, tcp_seq_later(limit, window));
	flow_set_next(flow, sender, tcp_seq_later(next, packet->ack));
	flow_set_acked(flow, end, packet->ack);
}

/* Notes that end has sent all before next, if it may have. */
static inline void tcp_advance_to(struct flow *flow, enum end end, uint32_t next)
{
	const uint32_t before = flow_next(flow, end);
	const bool counts =
	        tcp_seq_after(next, before) && !tcp_seq_after(next, flow_limit(flow, end) + 1);

	flow_set_next(flow, end, counts ? next : before);
}

/* Notes what an acceptable segment that is neither SYN nor RST does to the sequence numbers of an
 * open or closing flow. */
static inline void tcp_advance(struct flow *flow, enum end end, const struct packet *packet)
{
	tcp_advance_ack(flow, end, packet);
	tcp_advance_to(flow, end, packet->seq + packet->seq_len);
}

/*
 * If a segment is what an open flow goes on with, notes it: tcp_is_expected() and tcp_advance() in
 * one, which reads each word of the flow once, when it is needed, and tests nothing twice.
 */
static inline bool tcp_take_expected(struct flow *flow, enum end end, const struct packet *packet)
{
	const enum end other = end_other(end);
	const uint32_t after = packet->seq + packet->seq_len, next = flow_next(flow, end);
	uint32_t acked, window;

	if (tcp_seq_past(flow_acked(flow, other) - TCP_LATELY, packet->seq) ||
	    tcp_seq_past(packet->seq, next) || tcp_seq_past(after, flow_limit(flow, end) + 1))
		return false;
	acked = flow_acked(flow, end);
	if (tcp_seq_past(acked - TCP_LATELY, packet->ack) ||
	    tcp_seq_past(packet->ack, flow_next(flow, other)))
		return false;
	if (!tcp_seq_after(acked, packet->ack)) {
		window = packet->ack + tcp_window(flow, end, packet);
		flow_set_limit(flow, other, tcp_seq_later(flow_limit(flow, other), window));
		flow_set_acked(flow, end, packet->ack);
	}
	flow_set_next(flow, end, tcp_seq_later(next, after));
	return true;
}

/*
 * What a segment that is no RST is to a live flow. elsewhere: it comes from the client's end, but
 * not from where its last acceptable one came; then only numbers count that nobody can make up who
 * doesn't see the connection. syn is the client's that waits for an answer, or NULL.
 */
enum tcp_kind tcp_judge(const struct flow *flow, enum end end, const struct packet *packet,
                        bool elsewhere, const struct tcp_syn *syn);

/* If its receiver may believe the packet, a RST, which then ends the flow. Parameters as above. */
bool tcp_rst_is_believed(const struct flow *flow, enum end end, const struct packet *packet,
                         const struct tcp_syn *syn);

/*
 * Notes what an acceptable packet, which came from end, does to a live flow's sequence numbers and
 * flags. Returns TCP_OPENED ... The state is the caller's to change (life.h). Of an open flow, what
 * has neither SYN nor FIN does what tcp_advance() does, and no more.
 */
unsigned tcp_track(struct flow *flow, enum end end, const struct packet *packet);

/* Notes the FINs in note (NOTE_...), as a program has seen them, of an open or closing flow.
 * Returns as above. */
unsigned tcp_take_note(struct flow *flow, uint8_t note);

/* Begins a live flow anew with the client's SYN and packet, the server's answer to it. Its FINs are
 * forgotten. The caller sets its state. */
void tcp_begin_anew(struct flow *flow, const struct tcp_syn *syn, const struct packet *packet);

/* To be called when, upon TCP_OPENED for this packet, the flow's state is to become FLOW_OPEN. */
void tcp_opened(struct flow *flow, const struct packet *packet);

/*
 * If the packet is what end may send next, or again, on an open connection: it begins with what is
 * in flight or comes next, and acknowledges what is. A stranger who doesn't see the connection
 * can't make up such a packet.
 */
bool tcp_goes_on(const struct flow *flow, enum end end, const struct packet *packet);

/*
 * To be called when a flow that was reset is to live again: the windows are what they can be at
 * most.
 */
void tcp_revived(struct flow *flow);

/*
 * If a server that has the flow's connection in TIME_WAIT takes the SYN for a new one (RFC 6191, 2;
 * RFC 9293, 3.6.1): by its timestamp, stamp being the connection's last known, or its number.
 */
bool tcp_may_reopen(const struct flow *flow, uint32_t stamp, const struct packet *packet);

/*
 * If end may have sent a segment with this sequence number lately: what an ICMP error must quote to
 * be believed (RFC 5927, 4.1).
 */
bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq);

#endif
