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

/* Changes the addresses in an IPv4 header, and its checksum. Returns the change in their sum. */
static inline csum_acc rewrite_ipv4(uint8_t *ip, const struct tuple *from, const struct tuple *to)
{
	const uint64_t addresses = tuple_addresses(to);
	csum_acc change = csum_change_addresses(tuple_addresses(from), addresses);

	word64_store(ip + IPV4_SRC, addresses);
	csum_update(ip + IPV4_CHECKSUM, change);
	return change;
}

/* Changes the addresses in an IPv6 header. Returns the change in their sum. */
static inline csum_acc rewrite_ipv6(uint8_t *ip, const struct ip6 *src, const struct ip6 *dst)
{
	csum_acc change = csum_change_ip6(ip + IPV6_SRC, src, dst);

	memmove(ip + IPV6_SRC, src, sizeof(*src)); /* they may be the same */
	memmove(ip + IPV6_DST, dst, sizeof(*dst));
	return change;
}

/* Changes the ports in a TCP header, and its checksum, by that and by the change of the addresses;
 * flags are the frame's. */
static inline void rewrite_ports(uint8_t *tcp, uint8_t flags, const struct tuple *from,
                                 const struct tuple *to, csum_acc addresses)
{
	const uint32_t ports = tuple_ports(to);

	memcpy(tcp + TCP_SRC, &ports, sizeof(ports));
	if (flags & FRAME_CSUM_PARTIAL)
		csum_update_partial(tcp + TCP_CHECKSUM, addresses);
	else
		csum_update(tcp + TCP_CHECKSUM,
		            addresses + csum_change_word(tuple_ports(from), ports));
}

/*
 * Makes the packet, parsed by parse_tcp(), carry these addresses and ports instead of its own, and
 * updates the IPv4 and TCP checksums for it (RFC 1624), also a partial one. Nothing else changes.
 */
void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct rewrite_to *to);

/* Changes the identification of a fragment (frag_id), and the IPv4 checksum for it. */
void rewrite_frag_id(struct frame *frame, const struct packet *packet, be32 id);

/*
 * Changes only the addresses of a checked IP packet, and the IPv4 checksum for it. Returns what
 * that changes in the sum over its pseudo header.
 */
csum_acc rewrite_addresses(struct frame *frame, const struct packet *packet,
                           const struct rewrite_to *to);

#endif
