/*
 * Following a TCP connection from the middle (RFC 9293, 3.3.2).
 *
 * tmbridge filters nothing within a flow: each packet is passed on, and what is noted here only
 * decides how long the flow is kept and which sequence numbers a RST of our own would need. So
 * there is no window check, but the one thing that would let a stranger end a flow is checked: a
 * RST counts only with a sequence number that its receiver expects next (RFC 5961, 3.2). From the
 * middle that is either what the receiver acknowledged last or what the sender sent last.
 */
#include "tcp.h"

#include "wire.h"

#define TCP_NEAR (1u << 22) /* bytes: about the window that common systems grow to */

static bool seq_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/*
 * If seq is near what receiver has acknowledged: a stranger who guesses is seldom. Where more than
 * this is in flight, what is beyond is noted when the acknowledgments get there.
 */
static bool is_near(const struct flow *flow, enum end receiver, uint32_t seq)
{
	return seq - flow->acked[receiver] + TCP_NEAR <= 2 * TCP_NEAR;
}

/* Sequence numbers begin with a SYN; while half-open a later SYN begins anew (another try). */
static void note_seq(struct flow *flow, enum end end, const struct packet *packet)
{
	uint32_t next = packet->seq + packet->seq_len;
	enum end receiver = end_other(end);

	if (packet->tcp_flags & TCP_SYN && flow->state == FLOW_HALF_OPEN) {
		flow->flags |= (uint8_t)(FLOW_SEQ_KNOWN << end);
		flow->next_seq[end] = next;
		flow->acked[receiver] = packet->seq;
	} else if (flow->flags & FLOW_SEQ_KNOWN << end && is_near(flow, receiver, next) &&
		   seq_after(next, flow->next_seq[end])) {
		flow->next_seq[end] = next;
	}
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

static enum tcp_event note_fin(struct flow *flow, enum end end)
{
	bool first = !(flow->flags & FLOW_FIN_SENT << end_other(end));

	flow->flags |= (uint8_t)(FLOW_FIN_SENT << end);
	if (first && end == SERVER)
		flow->flags |= FLOW_SERVER_FIN_FIRST;
	/* both at once: the client's FIN didn't acknowledge the server's */
	if (!first && end == SERVER && !fin_is_acked(flow, CLIENT))
		flow->flags |= FLOW_SERVER_FIN_FIRST;
	return first ? TCP_HALF_CLOSED : TCP_BOTH_CLOSED;
}

/* Notes an acknowledgment of something that was sent; says if it is of anything new. */
static bool note_ack(struct flow *flow, enum end end, const struct packet *packet)
{
	enum end sender = end_other(end);

	if (!(packet->tcp_flags & TCP_ACK) || !(flow->flags & FLOW_SEQ_KNOWN << sender) ||
	    !seq_after(packet->ack, flow->acked[end]) || !is_near(flow, end, packet->ack))
		return false;
	flow->acked[end] = packet->ack;
	if (seq_after(packet->ack, flow->next_seq[sender]))
		flow->next_seq[sender] = packet->ack;
	return true;
}

enum tcp_event tcp_track(struct flow *flow, enum end end, const struct packet *packet)
{
	const uint8_t fins = FLOW_FIN_SENT << CLIENT | FLOW_FIN_SENT << SERVER;
	enum tcp_event event = TCP_NOTHING;
	bool new_ack;

	if (packet->tcp_flags & TCP_RST) {
		if (!rst_is_believed(flow, end, packet))
			return TCP_NOTHING;
		flow->flags |= FLOW_WAS_RESET;
		return TCP_ENDED;
	}
	note_seq(flow, end, packet);
	new_ack = note_ack(flow, end, packet);
	if (packet->tcp_flags & TCP_FIN && !(flow->flags & FLOW_FIN_SENT << end))
		event = note_fin(flow, end);
	if ((flow->flags & fins) == fins && fin_is_acked(flow, CLIENT) && fin_is_acked(flow, SERVER))
		return TCP_ENDED;
	/* the first that the client acknowledges is the server's SYN */
	if (flow->state == FLOW_HALF_OPEN && end == CLIENT && new_ack)
		return event == TCP_NOTHING ? TCP_OPENED : event;
	return event;
}

bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq)
{
	return flow->flags & FLOW_SEQ_KNOWN << end && is_near(flow, end_other(end), seq) &&
	       !seq_after(seq, flow->next_seq[end]);
}
