/*
 * Following a TCP connection from the middle (RFC 9293, 3.3.2).
 *
 * tmbridge filters nothing within a flow: each packet is passed on, and what is noted here only
 * decides how long the flow is kept and which sequence numbers a RST of our own would need. But a
 * stranger must not be able to end a flow, nor to falsify what is noted of it. So a segment counts
 * only within the window that its receiver has offered, and if it acknowledges what its receiver
 * may have sent (RFC 5961, 5.2): who sees neither has to guess both. A RST counts only with a
 * sequence number that its receiver expects next (RFC 5961, 3.2): from the middle, what the
 * receiver acknowledged last or what the sender sent last.
 *
 * Of a fragmented packet only the beginning is seen. So what is acknowledged, in the window, has
 * been sent, seen or not.
 */
#include "tcp.h"

#include "wire.h"

/* bytes before the last acknowledgment: what is sent again, or tells of an error, may be late */
#define TCP_LATELY (1u << 20)

static bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static bool is_open(const struct flow *flow)
{
	return flow->state == FLOW_OPEN || flow->state == FLOW_CLOSING;
}

/* If the SYN acknowledges the other end's or, in a simultaneous open, nothing (RFC 9293, 3.10.7.3).
 */
static bool fits_other_syn(const struct flow *flow, enum end end, const struct packet *packet)
{
	return !(packet->tcp_flags & TCP_ACK) ||
	       !(flow->flags & FLOW_SEQ_KNOWN << end_other(end)) ||
	       (seq_after(packet->ack, flow->acked[end]) &&
	        !seq_after(packet->ack, flow->next_seq[end_other(end)]));
}

/*
 * A SYN begins the numbers; while half-open another one begins them anew (another try), unless it
 * is a server's that answers nothing: he doesn't try. The same once more changes nothing: the other
 * end may have acknowledged it already.
 */
static void note_syn(struct flow *flow, struct flow_cold *cold, enum end end,
                     const struct packet *packet)
{
	const uint32_t next = packet->seq + packet->seq_len;

	if (flow->flags & FLOW_SEQ_KNOWN << end && flow->next_seq[end] == next)
		return;
	if (flow->flags & FLOW_SEQ_KNOWN << end && end == SERVER && !(packet->tcp_flags & TCP_ACK))
		return;
	flow->flags |= (uint8_t)(FLOW_SEQ_KNOWN << end);
	flow->next_seq[end] = next;
	flow->acked[end_other(end)] = packet->seq;
	cold->end[end].wscale = packet->wscale & 0xfu;
}

/* A server may speak before the client has said its last word of the handshake (RFC 7413, 4.2.2).
 */
static bool is_early(const struct flow *flow, enum end end, const struct packet *packet)
{
	return !is_open(flow) && end == SERVER && flow->flags & FLOW_SEQ_KNOWN << SERVER &&
	       packet->seq == flow->next_seq[SERVER];
}

static void note_seq(struct flow *flow, enum end end, const struct packet *packet)
{
	uint32_t next = packet->seq + packet->seq_len;
	bool counts;

	if (is_open(flow) && !(packet->tcp_flags & TCP_SYN)) {
		counts = seq_after(next, flow->next_seq[end]) &&
		         !seq_after(next, flow->limit[end] + 1);
		flow->next_seq[end] = counts ? next : flow->next_seq[end];
	} else if (is_early(flow, end, packet)) {
		flow->next_seq[end] = next;
	}
}

/* The window that end offers in packet, in bytes: scaled if both SYNs said so (RFC 7323, 2.3). */
static uint32_t window_of(const struct flow_cold *cold, enum end end, const struct packet *packet)
{
	bool scaled = cold->end[CLIENT].wscale != PACKET_NO_WSCALE &&
	              cold->end[SERVER].wscale != PACKET_NO_WSCALE &&
	              !(packet->tcp_flags & TCP_SYN);

	return (uint32_t)packet->window << (scaled ? cold->end[end].wscale : 0);
}

/* If at is a place in what end has sent lately or may send now. One byte beyond the window is a
 * zero-window probe, which may be taken (RFC 9293, 3.8.6.1). */
static bool is_near(const struct flow *flow, enum end end, uint32_t at)
{
	return !seq_after(flow->acked[end_other(end)] - TCP_LATELY, at) &&
	       !seq_after(at, flow->limit[end] + 1);
}

/*
 * If the segment may be one of an open connection. Its receiver would take an acknowledgment as old
 * as the widest window that it has offered (RFC 5961, 5.2), which isn't remembered: TCP_LATELY.
 */
static bool is_acceptable(const struct flow *flow, enum end end, const struct packet *packet)
{
	return packet->tcp_flags & TCP_ACK && is_near(flow, end, packet->seq) &&
	       is_near(flow, end_other(end), packet->ack);
}

/* Notes an acknowledgment, and the window with it; says if it is of anything new. Before the flow
 * is open it must be of what has been seen. */
static bool note_ack(struct flow *flow, const struct flow_cold *cold, enum end end,
                     const struct packet *packet)
{
	enum end sender = end_other(end);
	uint32_t limit = packet->ack + window_of(cold, end, packet);
	bool is_new;

	if (!(packet->tcp_flags & TCP_ACK) || !(flow->flags & FLOW_SEQ_KNOWN << sender) ||
	    seq_after(flow->acked[end], packet->ack) ||
	    (!is_open(flow) && seq_after(packet->ack, flow->next_seq[sender])))
		return false;
	if (is_open(flow))
		flow->limit[sender] =
		        seq_after(limit, flow->limit[sender]) ? limit : flow->limit[sender];
	if (seq_after(packet->ack, flow->next_seq[sender]))
		flow->next_seq[sender] = packet->ack;
	is_new = seq_after(packet->ack, flow->acked[end]);
	flow->acked[end] = packet->ack;
	return is_new;
}

static bool rst_is_believed(const struct flow *flow, enum end end, const struct packet *packet)
{
	enum end receiver = end_other(end);

	/* the answer to a SYN: no sequence number yet, but it must acknowledge the SYN */
	if (!(flow->flags & FLOW_SEQ_KNOWN << end))
		return packet->tcp_flags & TCP_ACK && packet->ack == flow->next_seq[receiver];
	if (flow->state == FLOW_HALF_OPEN)
		return packet->seq == flow->next_seq[end];
	return packet->seq == flow->acked[receiver] || packet->seq == flow->next_seq[end];
}

/* If the other end has acknowledged end's FIN, nothing being sent after it. */
static bool fin_is_acked(const struct flow *flow, enum end end)
{
	return flow->acked[end_other(end)] == flow->next_seq[end];
}

/* A FIN counts if it is the last that its end has sent. */
static unsigned note_fin(struct flow *flow, enum end end, const struct packet *packet)
{
	bool first = !(flow->flags & FLOW_FIN_SENT << end_other(end));

	if ((packet->tcp_flags & (TCP_FIN | TCP_SYN)) != TCP_FIN ||
	    flow->flags & FLOW_FIN_SENT << end || !(flow->flags & FLOW_SEQ_KNOWN << end) ||
	    packet->seq + packet->seq_len != flow->next_seq[end])
		return 0;
	flow->flags |= (uint8_t)(FLOW_FIN_SENT << end);
	/* the server keeps TIME_WAIT if it closed first, or at the same time */
	if (end == SERVER && (first || !fin_is_acked(flow, CLIENT)))
		flow->flags |= FLOW_SERVER_FIN_FIRST;
	return first ? TCP_HALF_CLOSED : TCP_BOTH_CLOSED;
}

unsigned tcp_track(struct flow *flow, struct flow_cold *cold, enum end end,
                   const struct packet *packet)
{
	const uint8_t fins = FLOW_FIN_SENT << CLIENT | FLOW_FIN_SENT << SERVER;
	unsigned events = 0;

	if (packet->tcp_flags & TCP_RST)
		return rst_is_believed(flow, end, packet) ? TCP_RESET : 0;
	if (is_open(flow) && !is_acceptable(flow, end, packet))
		return 0;
	if (packet->tcp_flags & TCP_SYN && flow->state == FLOW_HALF_OPEN &&
	    fits_other_syn(flow, end, packet))
		note_syn(flow, cold, end, packet);
	/* the first that the client acknowledges is the server's SYN */
	if (note_ack(flow, cold, end, packet) && flow->state == FLOW_HALF_OPEN && end == CLIENT) {
		events |= TCP_OPENED;
		if (seq_after(packet->seq + packet->seq_len, flow->next_seq[CLIENT]))
			flow->next_seq[CLIENT] = packet->seq + packet->seq_len;
	}
	note_seq(flow, end, packet);
	events |= note_fin(flow, end, packet);
	if ((flow->flags & fins) == fins && fin_is_acked(flow, CLIENT) &&
	    fin_is_acked(flow, SERVER))
		events |= TCP_ENDED;
	return events;
}

void tcp_opened(struct flow *flow, const struct flow_cold *cold, const struct packet *packet)
{
	/* the window of the server's SYN isn't remembered: it was never scaled */
	flow->limit[CLIENT] = flow->acked[SERVER] + UINT16_MAX;
	flow->limit[SERVER] = packet->ack + window_of(cold, CLIENT, packet);
	if (seq_after(flow->next_seq[CLIENT], flow->limit[CLIENT]))
		flow->limit[CLIENT] = flow->next_seq[CLIENT];
}

/* If at is a place in what end has sent, from what was acknowledged last up to what comes next. */
static bool is_in_flight(const struct flow *flow, enum end end, uint32_t at)
{
	uint32_t acked = flow->acked[end_other(end)];

	return at - acked <= flow->next_seq[end] - acked;
}

bool tcp_goes_on(const struct flow *flow, enum end end, const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK &&
	       is_in_flight(flow, end, packet->seq) &&
	       is_in_flight(flow, end_other(end), packet->ack);
}

void tcp_revived(struct flow *flow, const struct flow_cold *cold)
{
	static const struct packet widest = {.window = UINT16_MAX};

	for (enum end end = CLIENT; end <= SERVER; end++) {
		enum end receiver = end_other(end);

		flow->limit[end] = flow->acked[receiver] + window_of(cold, receiver, &widest);
		if (seq_after(flow->next_seq[end], flow->limit[end]))
			flow->limit[end] = flow->next_seq[end];
	}
}

bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq)
{
	return flow->flags & FLOW_SEQ_KNOWN << end && !seq_after(seq, flow->next_seq[end]) &&
	       !seq_after(flow->acked[end_other(end)], seq + TCP_LATELY);
}
