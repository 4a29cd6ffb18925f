/*
 * A TCP packet's addresses, ports and checksums: changed together, here and nowhere else.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

#include "frame.h"
#include "parse.h"

/*
 * Makes the packet, parsed by parse_tcp(), carry the tuple to instead of its own, and updates the
 * IPv4 and TCP checksums for it (RFC 1624), also a partial one. Nothing else changes.
 */
void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct tuple *to);

/*
 * Changes only the addresses of a checked IPv4 packet, and the IPv4 checksum for it: for a fragment
 * other than the first.
 */
void rewrite_addresses(struct frame *frame, const struct packet *packet, be32 src, be32 dst);

#endif
