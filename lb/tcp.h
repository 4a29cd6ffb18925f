/*
 * How far a balanced TCP connection has got, as seen from the middle.
 */
#ifndef LB_TCP_H
#define LB_TCP_H

#include "flow.h"
#include "parse.h"

/* What a packet means for the flow's life; several may come at once. */
enum {
	TCP_OPENED = 1 << 0,      /* the handshake is complete */
	TCP_HALF_CLOSED = 1 << 1, /* the first FIN */
	TCP_BOTH_CLOSED = 1 << 2, /* both ends have sent FIN */
	TCP_ENDED = 1 << 3,       /* both FINs are acknowledged */
	TCP_RESET = 1 << 4,       /* a RST to be believed */
};

/*
 * Notes what packet, which came from end, does to a live flow's sequence numbers and flags. Returns
 * TCP_OPENED ... The state is the caller's to change (balance.c).
 */
unsigned tcp_track(struct flow *flow, struct flow_cold *cold, enum end end,
                   const struct packet *packet);

/* To be called when, upon TCP_OPENED for this packet, the flow's state has become FLOW_OPEN. */
void tcp_opened(struct flow *flow, const struct flow_cold *cold, const struct packet *packet);

/*
 * If the packet is what end may send next, or again, on an open connection: it begins with what is
 * in flight or comes next, and acknowledges what is. So does nothing that a stranger makes up.
 */
bool tcp_goes_on(const struct flow *flow, enum end end, const struct packet *packet);

/* To be called when a flow that was reset is live again: the windows are what they can be at most.
 */
void tcp_revived(struct flow *flow, const struct flow_cold *cold);

/*
 * If end may have sent a segment with this sequence number lately: what an ICMP error must quote to
 * be believed (RFC 5927, 4.1).
 */
bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq);

#endif
