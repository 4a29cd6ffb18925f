/*
 * ICMP errors about flows: what they quote, and their translation.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

#include "frame.h"
#include "parse.h"
#include "rewrite.h"

/*
 * An error that quotes a TCP packet: the tuple that the packet had when it was sent, and its place.
 */
struct icmp_error {
	struct tuple tuple; /* of IPv6 only the ports: the names are the caller's to fill in */
	const struct ip6 *src6, *dst6; /* of IPv6, in the frame; else NULL */
	uint32_t seq;                  /* of the quoted packet, host order */
	uint16_t l3, l4;               /* offsets of the quoted headers in the frame */
	bool has_checksum;             /* the quotation reaches as far as TCP's checksum */
};

/*
 * Reads an ICMP message (RFC 792; RFC 1812, 4.3; RFC 4443, 3) behind the IP header that parse_ip()
 * has checked. False if it is no error, or doesn't quote the beginning of a TCP packet with at
 * least the 8 bytes that RFC 792 demands.
 */
bool icmp_parse_error(const struct frame *frame, const struct packet *packet,
                      struct icmp_error *ret);

/*
 * Rewrites the error for the other end of the flow: the outer addresses as outer says, and the
 * quoted packet's addresses and ports as quoted does. All checksums are updated (RFC 1624; RFC
 * 5508, 4.2); nothing else changes.
 */
void icmp_translate(struct frame *frame, const struct packet *packet,
                    const struct icmp_error *error, const struct rewrite_to *outer,
                    const struct rewrite_to *quoted);

#endif
