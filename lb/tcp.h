/*
 * How far a balanced TCP connection has got, as seen from the middle.
 */
#ifndef LB_TCP_H
#define LB_TCP_H

#include "flow.h"
#include "parse.h"

enum tcp_event {
	TCP_NOTHING,
	TCP_OPENED,		/* the handshake is complete */
	TCP_HALF_CLOSED,	/* the first FIN */
	TCP_BOTH_CLOSED,	/* both ends have sent FIN */
	TCP_ENDED,		/* both FINs are acknowledged, or a RST was believed */
};

/*
 * Notes what packet, which came from end, does to the flow's sequence numbers and flags, and says
 * what it means for the flow's life. The state is the caller's to change (balance.c).
 */
enum tcp_event tcp_track(struct flow *flow, enum end end, const struct packet *packet);

/*
 * If end may have sent a segment with this sequence number lately: what an ICMP error must quote to
 * be believed (RFC 5927, 4.1).
 */
bool tcp_may_have_sent(const struct flow *flow, enum end end, uint32_t seq);

#endif
