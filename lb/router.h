/*
 * tmbridge as a hop on the way, where it isn't a cable: what it forwards loses one of its TTL (RFC
 * 1812, 5.3.1; RFC 8200, 3), and who sends what can't go on is told by ICMP.
 */
#ifndef LB_ROUTER_H
#define LB_ROUTER_H

#include "refuse.h"
#include "ttl.h"

enum { ROUTER_KEPT_BYTES = 576 }; /* of a packet, to be quoted as it came */

/* A packet before it is rewritten. */
struct router_original {
	uint32_t len; /* of the longest packet that the frame is, or is cut into; 0: nothing kept */
	uint32_t kept;
	uint8_t bytes[ROUTER_KEPT_BYTES];
};

/* If the frame, an untagged IP packet, can't go further than here. */
static inline bool router_is_last(const struct frame *frame)
{
	const uint8_t *ip = frame->data + ETH_HEADER_BYTES;

	return ip[0] >> 4 == 6 ? ttl_is_last6(ip) : ttl_is_last4(ip);
}

/* Takes one of its TTL. */
void router_spend(struct frame *frame);

/* Tells the sender of packet that it has none left (RFC 792; RFC 4443, 3.3). */
void router_expired(const struct rules *rules, struct refuse *refuse, const struct frame *frame,
                    const struct packet *packet, lb_time now, struct verdict *v);

/* Keeps what may have to be quoted of a frame that is longer than one of our links takes: mtu. */
void router_keep(const struct frame *frame, uint32_t mtu, struct router_original *ret);

/* Tells its sender that it is too long, undoing what was done to it (RFC 1191; RFC 4443, 3.2). */
void router_too_big(const struct rules *rules, struct refuse *refuse, struct frame *frame,
                    const struct router_original *original, uint32_t mtu, lb_time now,
                    struct verdict *v);

#endif
