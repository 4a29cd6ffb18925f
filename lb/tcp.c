/*
 * Following a TCP connection from the middle (RFC 9293, 3.3.2).
 *
 * tmbridge filters nothing within a flow: each packet is passed on, and what is noted here only
 * decides how long the flow is kept, where its client is and which sequence numbers a RST of our
 * own would need. But a stranger must not be able to end a flow, to keep it alive, or to falsify
 * what is noted of it. So each segment is judged before anything follows from it. It counts only
 * within the window that its receiver has offered, and if it acknowledges what its receiver may
 * have sent (RFC 5961, 5.2): a stranger who sees neither has to guess both. A segment that would
 * move the client to another place has to be within what is in flight at that moment.
 *
 * A RST counts only with a sequence number that its receiver may expect next (RFC 5961, 3.2): from
 * the middle, anything from what the receiver acknowledged last to what the sender sent last; at
 * the edge of a window that has been closed again, Linux sends one in between. While something is
 * in flight, to believe a wrong RST does little harm: what is in flight is sent again, and that
 * revives the flow.
 *
 * A SYN on a live flow proves nothing by itself: it may be a stranger's, or the server may still
 * have the old connection and answer for that. So it is noted (anew.h) until the server answers it;
 * with that answer the connection begins anew.
 *
 * Of a fragmented packet only the beginning is judged, so that not all that was sent has been seen.
 * Therefore what is acknowledged within the window counts as sent.
 */
#include "tcp.h"

#include "notes.h"

static bool knows(const struct flow *flow, enum end end)
{
	return flow->flags & FLOW_SEQ_KNOWN << end;
}

/*
 * If only somebody who sees the connection can have sent this segment for end: it acknowledges what
 * is in flight just now, and begins in the window, or at most a window before it, as what a client
 * repeats does while the acknowledgments for it still go to its old place.
 */
static bool is_proven(const struct flow *flow, enum end end, const struct packet *packet)
{
	const enum end other = end_other(end);
	uint32_t window = flow_limit(flow, end) - flow_acked(flow, other);

	if (window < TCP_WINDOW_LEAST)
		window = TCP_WINDOW_LEAST;
	return tcp_is_between(flow_acked(flow, other) - window, packet->seq,
	                      flow_limit(flow, end) + 1) &&
	       tcp_is_between(flow_acked(flow, end), packet->ack, flow_next(flow, other));
}

/* If the packet, a SYN, is of the client and acknowledges nothing. */
static bool is_plain_syn(enum end end, const struct packet *packet)
{
	return end == CLIENT && (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN)) == TCP_SYN;
}

/* If the packet is the server's answer to the client's SYN whose next sequence number is `next`. */
static bool is_answer(enum end end, const struct packet *packet, uint32_t next)
{
	return end == SERVER &&
	       (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_FIN)) == (TCP_SYN | TCP_ACK) &&
	       packet->ack == next;
}

/* Judges a SYN of the client's: its first one, or that once more, which acknowledges the server's
 * if both open at once (RFC 9293, figure 7); or another one. */
static enum tcp_kind judge_client_syn(const struct flow *flow, const struct packet *packet)
{
	if (!knows(flow, CLIENT) || flow_next(flow, CLIENT) == packet->seq + packet->seq_len)
		return TCP_ACCEPTABLE;
	return is_plain_syn(CLIENT, packet) ? TCP_AGAIN : TCP_STRAY;
}

/*
 * Judges a SYN of the server's. It must acknowledge the client's SYN, with or without the data of
 * that (RFC 7413): one that doesn't may be anybody's. The same once more is nothing new. One with
 * other numbers, while the client has accepted none, begins anew: the server doesn't remember its
 * first answer, as one with SYN cookies doesn't.
 */
static enum tcp_kind judge_server_syn(const struct flow *flow, const struct packet *packet)
{
	if (!(packet->tcp_flags & TCP_ACK))
		return TCP_STRAY;
	if (!knows(flow, SERVER))
		return tcp_is_between(flow_acked(flow, SERVER) + 1, packet->ack,
		                      flow_next(flow, CLIENT))
		               ? TCP_ACCEPTABLE
		               : TCP_STRAY;
	return is_answer(SERVER, packet, flow_next(flow, CLIENT)) &&
	                       packet->seq != flow_acked(flow, CLIENT)
	               ? TCP_ANEW
	               : TCP_STRAY;
}

/*
 * If the client's packet completes the handshake, or follows upon the one that did: it acknowledges
 * the server's SYN, and begins where the client's ended (a keep-alive one byte before) or within
 * the first window.
 */
static bool opens(const struct flow *flow, const struct packet *packet)
{
	const uint32_t first = flow_acked(flow, SERVER) - 1;

	return knows(flow, SERVER) &&
	       tcp_is_between(flow_acked(flow, CLIENT) + 1, packet->ack, flow_next(flow, SERVER)) &&
	       tcp_is_between(first, packet->seq, flow_next(flow, CLIENT) + TCP_WINDOW_LEAST);
}

/* If it is data that the server sends before the client has completed the handshake (RFC 7413,
 * 4.2.2). */
static bool is_early(const struct flow *flow, const struct packet *packet)
{
	return knows(flow, SERVER) && packet->seq == flow_next(flow, SERVER) &&
	       tcp_is_between(flow_acked(flow, SERVER), packet->ack, flow_next(flow, CLIENT));
}

static enum tcp_kind judge_half_open(const struct flow *flow, enum end end,
                                     const struct packet *packet)
{
	if (packet->tcp_flags & TCP_SYN)
		return end == CLIENT ? judge_client_syn(flow, packet)
		                     : judge_server_syn(flow, packet);
	if (!(packet->tcp_flags & TCP_ACK))
		return TCP_STRAY;
	return (end == CLIENT ? opens(flow, packet) : is_early(flow, packet)) ? TCP_ACCEPTABLE
	                                                                      : TCP_STRAY;
}

enum tcp_kind tcp_judge(const struct flow *flow, enum end end, const struct packet *packet,
                        bool elsewhere, const struct tcp_syn *syn)
{
	enum tcp_kind kind = TCP_STRAY;

	if (flow->state == FLOW_HALF_OPEN)
		kind = judge_half_open(flow, end, packet);
	else if (is_plain_syn(end, packet))
		return TCP_AGAIN;
	else if (packet->tcp_flags & TCP_ACK && tcp_is_near(flow, end, packet) &&
	         (!elsewhere || is_proven(flow, end, packet)))
		kind = TCP_ACCEPTABLE;
	if (kind == TCP_STRAY && syn && is_answer(end, packet, syn->next))
		return TCP_ANEW;
	return kind;
}

bool tcp_rst_is_believed(const struct flow *flow, enum end end, const struct packet *packet,
                         const struct tcp_syn *syn)
{
	/* the answer to a SYN: no sequence number yet, but it must acknowledge the SYN */
	if (end == SERVER && packet->tcp_flags & TCP_ACK &&
	    ((syn && packet->ack == syn->next) ||
	     (!knows(flow, SERVER) && packet->ack == flow_next(flow, CLIENT))))
		return true;
	if (!knows(flow, end))
		return false;
	if (flow->state == FLOW_HALF_OPEN)
		return packet->seq == flow_next(flow, end);
	return tcp_rst_is_expected(flow, end, packet);
}

/* Sets end's numbers by its SYN. The same SYN once more changes nothing, as the other end may have
 * acknowledged it already. */
static void note_syn(struct flow *flow, enum end end, const struct packet *packet)
{
	if (knows(flow, end))
		return;
	flow->flags |= (uint8_t)(FLOW_SEQ_KNOWN << end);
	flow_set_next(flow, end, packet->seq + packet->seq_len);
	flow_set_acked(flow, end_other(end), packet->seq);
	flow_set_wscale(flow, end, packet->wscale);
}

/* The same as tcp_advance() for a half-open flow. Returns TCP_OPENED or 0. */
static unsigned shake_hands(struct flow *flow, enum end end, const struct packet *packet)
{
	const uint32_t next = packet->seq + packet->seq_len;
	const bool is_syn = packet->tcp_flags & TCP_SYN;
	/* both opened at once: the client's SYN has acknowledged the server's, which is seen only
	 * now */
	const bool crossed = end == SERVER && is_syn && flow_acked(flow, CLIENT) == next;

	if (is_syn)
		note_syn(flow, end, packet);
	else if (tcp_seq_after(next, flow_next(flow, end)))
		flow_set_next(flow, end, next);
	if (crossed)
		flow_set_acked(flow, CLIENT, next);
	if (!(packet->tcp_flags & TCP_ACK))
		return 0;
	if (!knows(flow, end_other(end)) || tcp_seq_after(packet->ack, flow_acked(flow, end)))
		flow_set_acked(flow, end, packet->ack);
	/* the first that the client acknowledges is the server's SYN */
	return crossed || (end == CLIENT && !is_syn) ? TCP_OPENED : 0;
}

/* Notes a FIN, if nothing of its end's has been seen behind it. */
static unsigned note_fin(struct flow *flow, enum end end, const struct packet *packet)
{
	bool first = !(flow->flags & FLOW_FIN_SENT << end_other(end));

	if ((packet->tcp_flags & (TCP_FIN | TCP_SYN)) != TCP_FIN ||
	    flow->flags & FLOW_FIN_SENT << end ||
	    packet->seq + packet->seq_len != flow_next(flow, end))
		return 0;
	flow->flags |= (uint8_t)(FLOW_FIN_SENT << end);
	/* the server keeps TIME_WAIT if it closed first, or at the same time */
	if (end == SERVER && (first || !tcp_fin_is_acked(flow, CLIENT)))
		flow->flags |= FLOW_SERVER_FIN_FIRST;
	return first ? TCP_HALF_CLOSED : TCP_BOTH_CLOSED;
}

unsigned tcp_track(struct flow *flow, enum end end, const struct packet *packet)
{
	unsigned events = 0;

	if (flow->state == FLOW_HALF_OPEN)
		events |= shake_hands(flow, end, packet);
	else if (packet->tcp_flags & TCP_SYN)
		tcp_advance_ack(flow, end, packet);
	else
		tcp_advance(flow, end, packet);
	events |= note_fin(flow, end, packet);
	if (tcp_is_closed(flow))
		events |= TCP_ENDED;
	return events;
}

unsigned tcp_take_note(struct flow *flow, uint8_t note)
{
	const bool was_closing = flow_is_closing(flow), was_closed = flow_is_closed(flow);
	const bool client_was = flow->flags & FLOW_FIN_SENT << CLIENT;
	unsigned events = 0;

	for (enum end end = CLIENT; end <= SERVER; end++)
		if (note & NOTE_FIN << end)
			flow->flags |= (uint8_t)(FLOW_FIN_SENT << end);
	if (note & NOTE_CROSSING || (note & NOTE_SERVER_FIRST && !client_was))
		flow->flags |= FLOW_SERVER_FIN_FIRST;
	if (!was_closing && flow_is_closing(flow))
		events |= TCP_HALF_CLOSED;
	if (!was_closed && flow_is_closed(flow))
		events |= TCP_BOTH_CLOSED;
	if (tcp_is_closed(flow))
		events |= TCP_ENDED;
	return events;
}

/* Windows are scaled if both SYNs said so. */
static void settle_scales(struct flow *flow)
{
	if (flow_wscale(flow, CLIENT) == PACKET_NO_WSCALE ||
	    flow_wscale(flow, SERVER) == PACKET_NO_WSCALE)
		BOTH_WRITE(flow->wscales, (uint8_t)0);
}

void tcp_begin_anew(struct flow *flow, const struct tcp_syn *syn, const struct packet *packet)
{
	flow->flags &= FLOW_CLIENT_UNLISTED;
	flow->flags |= FLOW_SEQ_KNOWN << CLIENT | FLOW_SEQ_KNOWN << SERVER;
	flow_set_next(flow, CLIENT, syn->next);
	flow_set_acked(flow, SERVER, syn->next);
	flow_set_next(flow, SERVER, packet->seq + packet->seq_len);
	flow_set_acked(flow, CLIENT, packet->seq);
	flow_set_wscale(flow, CLIENT, syn->wscale);
	flow_set_wscale(flow, SERVER, packet->wscale);
	if (flow->state == FLOW_HALF_OPEN)
		return;
	settle_scales(flow);
	flow_set_limit(flow, CLIENT, flow_acked(flow, SERVER) + UINT16_MAX);
	flow_set_limit(flow, SERVER, flow_next(flow, SERVER) + UINT16_MAX);
}

void tcp_opened(struct flow *flow, const struct packet *packet)
{
	settle_scales(flow);
	/* the windows of SYNs aren't remembered: they were never scaled */
	flow_set_limit(flow, CLIENT, flow_acked(flow, SERVER) + UINT16_MAX);
	flow_set_limit(flow, SERVER,
	               flow_acked(flow, CLIENT) + (packet->tcp_flags & TCP_SYN
	                                                   ? UINT16_MAX
	                                                   : tcp_window(flow, CLIENT, packet)));
	if (tcp_seq_after(flow_next(flow, CLIENT), flow_limit(flow, CLIENT)))
		flow_set_limit(flow, CLIENT, flow_next(flow, CLIENT));
}

/* If at is a place in what end has sent, from what was acknowledged last up to what comes next. */
static bool is_in_flight(const struct flow *flow, enum end end, uint32_t at)
{
	return tcp_is_between(flow_acked(flow, end_other(end)), at, flow_next(flow, end));
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

		flow_set_limit(flow, end,
		               flow_acked(flow, receiver) +
		                       ((uint32_t)UINT16_MAX << flow_wscale(flow, receiver)));
		if (tcp_seq_after(flow_next(flow, end), flow_limit(flow, end)))
			flow_set_limit(flow, end, flow_next(flow, end));
	}
}

bool tcp_may_reopen(const struct flow *flow, uint32_t stamp, const struct packet *packet)
{
	const bool both = stamp && packet->stamp;

	if (both && tcp_seq_after(stamp, packet->stamp))
		return false; /* RFC 7323, 5: it would be thrown away as an old duplicate */
	return (both && packet->stamp != stamp) ||
	       tcp_seq_after(packet->seq, flow_next(flow, CLIENT));
}

bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq)
{
	return knows(flow, end) && !tcp_seq_after(seq, flow_next(flow, end)) &&
	       !tcp_seq_after(flow_acked(flow, end_other(end)), seq + TCP_LATELY);
}
