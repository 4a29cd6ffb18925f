/*
 * tmbridge as a router, where it isn't a cable: what it forwards loses one of its TTL (RFC 1812,
 * 5.3.1; RFC 8200, 3), and whoever sends what can't be forwarded gets an ICMP error.
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

/* Takes one off the packet's TTL or hop limit. */
void router_spend(struct frame *frame);

/* Settles v: an ICMP error to the sender of packet, whose TTL is used up (RFC 792; RFC 4443, 3.3),
 * as far as refuse allows. */
void router_expired(const struct rules *rules, struct refuse *refuse, const struct frame *frame,
                    const struct packet *packet, lb_time now, struct verdict *v);

/* Keeps what may have to be quoted of a frame that is longer than one of our links takes: mtu. */
void router_keep(const struct frame *frame, uint32_t mtu, struct router_original *ret);

/*
 * Settles v: an ICMP error to the sender of a frame that is too long (RFC 1191; RFC 4443, 3.2), as
 * far as refuse allows; for the quotation the frame is made again what it was before it was
 * rewritten.
 */
void router_too_big(const struct rules *rules, struct refuse *refuse, struct frame *frame,
                    const struct router_original *original, uint32_t mtu, lb_time now,
                    struct verdict *v);

#endif
