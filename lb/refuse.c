/*
 * RSTs to those who get no flow. What any stranger can ask for at any rate is answered at a limited
 * one: enough for clients, too little for a reflector.
 */
#include "refuse.h"

#include "wire.h"

enum { REFUSE_PER_S = 1000, REFUSE_BURST = 1000 };

#define REFUSE_COST (LB_NS_PER_S / REFUSE_PER_S)

void refuse_begin(struct refuse *refuse, lb_time now)
{
	refuse->paid.ns = now.ns - REFUSE_COST * REFUSE_BURST;
}

void refuse_rst(struct verdict *v, enum lb_why why, const struct packet *packet)
{
	verdict_answer(v, why, packet, OWN_TCP);
	v->own.tcp_flags = TCP_RST;
	if (packet->tcp_flags & TCP_ACK) {
		v->own.seq = packet->ack;
	} else {
		v->own.tcp_flags |= TCP_ACK;
		v->own.ack = packet->seq + packet->seq_len;
	}
}

/* Takes a token for a RST: the bucket's level is the time since paid. */
static bool rst_allowed(struct refuse *refuse, lb_time now)
{
	if (now.ns - refuse->paid.ns > REFUSE_COST * REFUSE_BURST)
		refuse->paid.ns = now.ns - REFUSE_COST * REFUSE_BURST;
	if (now.ns - refuse->paid.ns < REFUSE_COST)
		return false;
	refuse->paid.ns += REFUSE_COST;
	return true;
}

void refuse_limited(struct refuse *refuse, struct verdict *v, enum lb_why why,
                    const struct packet *packet, lb_time now)
{
	if (rst_allowed(refuse, now))
		refuse_rst(v, why, packet);
	else
		verdict_settle(v, WHY_RST_LIMITED);
}
