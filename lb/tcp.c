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

/* If the SYN acknowledges the other end's or, in a simultaneous open, nothing (RFC 9293, 3.10.7.3).
 */
static bool fits_other_syn(const struct flow *flow, enum end end, const struct packet *packet)
{
	return !(packet->tcp_flags & TCP_ACK) ||
	       !(flow->flags & FLOW_SEQ_KNOWN << end_other(end)) ||
	       (tcp_seq_after(packet->ack, flow->acked[end]) &&
	        !tcp_seq_after(packet->ack, flow->next_seq[end_other(end)]));
}

/*
 * A SYN begins the numbers; while half-open another one begins them anew (another try), unless it
 * is a server's that answers nothing: he doesn't try. The same once more changes nothing: the other
 * end may have acknowledged it already.
 */
static void note_syn(struct flow *flow, enum end end, const struct packet *packet)
{
	const uint32_t next = packet->seq + packet->seq_len;

	if (flow->flags & FLOW_SEQ_KNOWN << end && flow->next_seq[end] == next)
		return;
	if (flow->flags & FLOW_SEQ_KNOWN << end && end == SERVER && !(packet->tcp_flags & TCP_ACK))
		return;
	flow->flags |= (uint8_t)(FLOW_SEQ_KNOWN << end);
	flow->next_seq[end] = next;
	flow->acked[end_other(end)] = packet->seq;
	flow_set_wscale(flow, end, packet->wscale);
}

/* A server may speak before the client has said its last word of the handshake (RFC 7413, 4.2.2).
 */
static bool is_early(const struct flow *flow, enum end end, const struct packet *packet)
{
	return end == SERVER && flow->flags & FLOW_SEQ_KNOWN << SERVER &&
	       packet->seq == flow->next_seq[SERVER];
}

/* Notes an acknowledgment of what has been seen, before the flow is open; says if it is of anything
 * new. */
static bool note_early_ack(struct flow *flow, enum end end, const struct packet *packet)
{
	enum end sender = end_other(end);

	if (!(packet->tcp_flags & TCP_ACK) || !(flow->flags & FLOW_SEQ_KNOWN << sender) ||
	    !tcp_seq_after(packet->ack, flow->acked[end]) ||
	    tcp_seq_after(packet->ack, flow->next_seq[sender]))
		return false;
	flow->acked[end] = packet->ack;
	return true;
}

/* The same as tcp_advance() for a half-open flow. Returns TCP_OPENED or 0. */
static unsigned shake_hands(struct flow *flow, enum end end, const struct packet *packet)
{
	uint32_t next = packet->seq + packet->seq_len;
	unsigned events = 0;

	if (packet->tcp_flags & TCP_SYN && fits_other_syn(flow, end, packet))
		note_syn(flow, end, packet);
	/* the first that the client acknowledges is the server's SYN */
	if (note_early_ack(flow, end, packet) && end == CLIENT) {
		events = TCP_OPENED;
		if (tcp_seq_after(next, flow->next_seq[CLIENT]))
			flow->next_seq[CLIENT] = next;
	}
	if (is_early(flow, end, packet))
		flow->next_seq[SERVER] = next;
	return events;
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

unsigned tcp_track(struct flow *flow, enum end end, const struct packet *packet)
{
	unsigned events = 0;

	if (packet->tcp_flags & TCP_RST)
		return rst_is_believed(flow, end, packet) ? TCP_RESET : 0;
	if (flow->state == FLOW_HALF_OPEN)
		events |= shake_hands(flow, end, packet);
	else if (!tcp_advance(flow, end, packet))
		return 0;
	events |= note_fin(flow, end, packet);
	if (flow_is_closed(flow) && fin_is_acked(flow, CLIENT) && fin_is_acked(flow, SERVER))
		events |= TCP_ENDED;
	return events;
}

void tcp_opened(struct flow *flow, const struct packet *packet)
{
	/* windows are scaled if both SYNs said so */
	if (flow_wscale(flow, CLIENT) == PACKET_NO_WSCALE ||
	    flow_wscale(flow, SERVER) == PACKET_NO_WSCALE)
		flow->wscales = 0;
	/* the window of the server's SYN isn't remembered: it was never scaled */
	flow->limit[CLIENT] = flow->acked[SERVER] + UINT16_MAX;
	flow->limit[SERVER] = packet->ack + tcp_window(flow, CLIENT, packet);
	if (tcp_seq_after(flow->next_seq[CLIENT], flow->limit[CLIENT]))
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

void tcp_revived(struct flow *flow)
{
	for (enum end end = CLIENT; end <= SERVER; end++) {
		enum end receiver = end_other(end);

		flow->limit[end] = flow->acked[receiver] +
		                   ((uint32_t)UINT16_MAX << flow_wscale(flow, receiver));
		if (tcp_seq_after(flow->next_seq[end], flow->limit[end]))
			flow->limit[end] = flow->next_seq[end];
	}
}

bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq)
{
	return flow->flags & FLOW_SEQ_KNOWN << end && !tcp_seq_after(seq, flow->next_seq[end]) &&
	       !tcp_seq_after(flow->acked[end_other(end)], seq + TCP_LATELY);
}
