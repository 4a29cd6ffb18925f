/*
 * A TCP packet's addresses, ports and checksums: changed together, here and nowhere else.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "csum.h"
#include "frame.h"
#include "parse.h"

/* What a packet's addresses and ports become. Those of an IPv6 packet are src6 and dst6. */
struct rewrite_to {
	struct tuple tuple;
	const struct ip6 *src6, *dst6;
};

/*
 * Makes the packet, parsed by parse_tcp(), carry these addresses and ports instead of its own, and
 * updates the IPv4 and TCP checksums for it (RFC 1624), also a partial one. Nothing else changes.
 */
void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct rewrite_to *to);

/*
 * Changes only the addresses of a checked IP packet, and the IPv4 checksum for it. Returns what
 * that changes in the sum over its pseudo header.
 */
csum_acc rewrite_addresses(struct frame *frame, const struct packet *packet,
                           const struct rewrite_to *to);

#endif
