/*
 * ICMP errors about flows.
 *
 * An error quotes the packet that it is about as that was on the wire where it failed: with the
 * addresses and ports that we had put in. For the sender it has to be quoted as the sender knows
 * it. The ICMP checksum covers the quotation, so that each change in there changes it as well,
 * those of the quoted checksums included; ICMPv6's also covers the outer addresses.
 */
#include "icmp.h"

#include "csum.h"
#include "wire.h"

enum { ICMP_QUOTED_TCP_BYTES = 8 }; /* RFC 792: of what follows the IP header */

static bool is_error(const struct packet *packet, uint8_t type)
{
	if (packet->kind == PACKET_IPV6)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETER_PROBLEM;
}

/* Where the TCP header begins in the quoted IPv4 packet of len bytes, or 0. */
static uint32_t quoted_ipv4(const uint8_t *ip, uint32_t len, struct icmp_error *ret)
{
	uint32_t header = (ip[0] & 0xfu) * 4;

	if (len < IPV4_HEADER_BYTES || ip[0] >> 4 != 4 || header < IPV4_HEADER_BYTES ||
	    ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP ||
	    be16_get(be16_load(ip + IPV4_FRAGMENT)) & IPV4_OFFSET_MASK)
		return 0;
	ret->tuple.src = be32_load(ip + IPV4_SRC);
	ret->tuple.dst = be32_load(ip + IPV4_DST);
	return header;
}

static uint32_t quoted_ipv6(const struct frame *frame, uint32_t l3, uint32_t len,
                            struct icmp_error *ret)
{
	const uint8_t *ip = frame->data + l3;
	uint32_t offset = l3 + IPV6_HEADER_BYTES;
	struct packet quoted;
	uint8_t next;

	if (len < IPV6_HEADER_BYTES || ip[0] >> 4 != 6)
		return 0;
	next = ip[IPV6_NEXT_HEADER];
	if (!parse_extensions(frame, l3 + len, &next, &offset, &quoted) ||
	    next != IPPROTO_NUM_TCP || (quoted.is_fragment && quoted.frag_offset))
		return 0;
	ret->src6 = (const struct ip6 *)(ip + IPV6_SRC);
	ret->dst6 = (const struct ip6 *)(ip + IPV6_DST);
	return offset - l3;
}

bool icmp_parse_error(const struct frame *frame, const struct packet *packet,
                      struct icmp_error *ret)
{
	const uint8_t *icmp = frame->data + packet->l4, *tcp;
	uint32_t l3 = packet->l4 + (uint32_t)ICMP_HEADER_BYTES, header, len;

	if (packet->l4_len < ICMP_HEADER_BYTES + IPV4_HEADER_BYTES ||
	    frame->len < (uint32_t)packet->l4 + packet->l4_len ||
	    !is_error(packet, icmp[ICMP_TYPE]))
		return false;
	*ret = (struct icmp_error){.l3 = (uint16_t)l3};
	len = packet->l4_len - (uint32_t)ICMP_HEADER_BYTES;
	header = packet->kind == PACKET_IPV6 ? quoted_ipv6(frame, l3, len, ret)
	                                     : quoted_ipv4(frame->data + l3, len, ret);
	if (!header || len < header + ICMP_QUOTED_TCP_BYTES)
		return false;
	tcp = frame->data + l3 + header;
	ret->l4 = (uint16_t)(l3 + header);
	ret->tuple.sport = be16_load(tcp + TCP_SRC);
	ret->tuple.dport = be16_load(tcp + TCP_DST);
	ret->seq = be32_get(be32_load(tcp + TCP_SEQ));
	ret->has_checksum = len >= header + TCP_CHECKSUM + 2;
	return true;
}

/*
 * Updates a checksum within the quotation; returns what that changes in a sum over the quotation.
 */
static csum_acc update_quoted(uint8_t *field, csum_acc change)
{
	be16 before = be16_load(field);

	csum_update(field, change);
	return csum_change16(before, be16_load(field));
}

/* Gives the quoted packet other addresses; returns what that changes in a sum over them. */
static csum_acc quote_addresses(uint8_t *ip, const struct icmp_error *error,
                                const struct rewrite_to *to, csum_acc *header)
{
	csum_acc change;

	*header = 0;
	if (error->src6) {
		change = csum_change_ip6(ip + IPV6_SRC, to->src6, to->dst6);
		memcpy(ip + IPV6_SRC, to->src6, sizeof(*to->src6));
		memcpy(ip + IPV6_DST, to->dst6, sizeof(*to->dst6));
		return change;
	}
	change = csum_change32(error->tuple.src, to->tuple.src) +
	         csum_change32(error->tuple.dst, to->tuple.dst);
	be32_store(ip + IPV4_SRC, to->tuple.src);
	be32_store(ip + IPV4_DST, to->tuple.dst);
	*header = update_quoted(ip + IPV4_CHECKSUM, change);
	return change;
}

/* Gives the quoted packet other addresses and ports; returns what that changes in a sum over the
 * quotation. */
static csum_acc quote(struct frame *frame, const struct icmp_error *error,
                      const struct rewrite_to *to)
{
	uint8_t *tcp = frame->data + error->l4;
	csum_acc header;
	csum_acc addresses = quote_addresses(frame->data + error->l3, error, to, &header);
	csum_acc ports = csum_change16(error->tuple.sport, to->tuple.sport) +
	                 csum_change16(error->tuple.dport, to->tuple.dport);
	csum_acc change = addresses + ports + header;

	be16_store(tcp + TCP_SRC, to->tuple.sport);
	be16_store(tcp + TCP_DST, to->tuple.dport);
	if (error->has_checksum)
		change += update_quoted(tcp + TCP_CHECKSUM, addresses + ports);
	return change;
}

void icmp_translate(struct frame *frame, const struct packet *packet,
                    const struct icmp_error *error, const struct rewrite_to *outer,
                    const struct rewrite_to *quoted)
{
	csum_acc change = quote(frame, error, quoted);
	csum_acc addresses = rewrite_addresses(frame, packet, outer);

	if (packet->kind == PACKET_IPV6)
		change += addresses;
	csum_update(frame->data + packet->l4 + ICMP_CHECKSUM, change);
}
