/*
 * ICMP errors about flows.
 *
 * An error quotes the packet that it is about as that was on the wire where it failed: with the
 * addresses and ports that we had put in. For the sender it has to be quoted as the sender knows
 * it. The ICMP checksum covers the quotation, so that each change in there changes it as well,
 * those of the quoted checksums included.
 */
#include "icmp.h"

#include "csum.h"
#include "wire.h"

enum { ICMP_QUOTED_TCP_BYTES = 8 }; /* RFC 792: of what follows the IPv4 header */

static bool is_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETER_PROBLEM;
}

bool icmp_parse_error(const struct frame *frame, const struct packet *packet,
                      struct icmp_error *ret)
{
	const uint8_t *icmp = frame->data + packet->l4, *ip = icmp + ICMP_HEADER_BYTES, *tcp;
	uint32_t header;

	if (packet->l4_len < ICMP_HEADER_BYTES + IPV4_HEADER_BYTES ||
	    frame->len < (uint32_t)packet->l4 + packet->l4_len || !is_error(icmp[ICMP_TYPE]))
		return false;
	header = (ip[0] & 0xfu) * 4;
	if (ip[0] >> 4 != 4 || header < IPV4_HEADER_BYTES || ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP ||
	    be16_get(be16_load(ip + IPV4_FRAGMENT)) & IPV4_OFFSET_MASK ||
	    packet->l4_len < ICMP_HEADER_BYTES + header + ICMP_QUOTED_TCP_BYTES)
		return false;
	tcp = ip + header;
	*ret = (struct icmp_error){
	        .tuple = {.src = be32_load(ip + IPV4_SRC),
	                  .dst = be32_load(ip + IPV4_DST),
	                  .sport = be16_load(tcp + TCP_SRC),
	                  .dport = be16_load(tcp + TCP_DST)},
	        .seq = be32_get(be32_load(tcp + TCP_SEQ)),
	        .l3 = (uint16_t)(packet->l4 + ICMP_HEADER_BYTES),
	        .l4 = (uint16_t)(packet->l4 + ICMP_HEADER_BYTES + header),
	        .has_checksum = packet->l4_len >= ICMP_HEADER_BYTES + header + TCP_CHECKSUM + 2,
	};
	return true;
}

/* Updates a checksum within the quotation; returns what that changes in a sum over the quotation.
 */
static csum_acc update_quoted(uint8_t *field, csum_acc change)
{
	be16 before = be16_load(field);

	csum_update(field, change);
	return csum_change16(before, be16_load(field));
}

/* Gives the quoted packet another tuple; returns what that changes in a sum over the quotation. */
static csum_acc quote(struct frame *frame, const struct icmp_error *error, const struct tuple *to)
{
	uint8_t *ip = frame->data + error->l3, *tcp = frame->data + error->l4;
	const struct tuple *from = &error->tuple;
	csum_acc addresses = csum_change32(from->src, to->src) + csum_change32(from->dst, to->dst);
	csum_acc ports =
	        csum_change16(from->sport, to->sport) + csum_change16(from->dport, to->dport);
	csum_acc change = addresses + ports;

	be32_store(ip + IPV4_SRC, to->src);
	be32_store(ip + IPV4_DST, to->dst);
	be16_store(tcp + TCP_SRC, to->sport);
	be16_store(tcp + TCP_DST, to->dport);
	change += update_quoted(ip + IPV4_CHECKSUM, addresses);
	if (error->has_checksum)
		change += update_quoted(tcp + TCP_CHECKSUM, addresses + ports);
	return change;
}

void icmp_translate(struct frame *frame, const struct packet *packet,
                    const struct icmp_error *error, be32 src, be32 dst, const struct tuple *quoted)
{
	uint8_t *ip = frame->data + packet->l3;

	csum_update(frame->data + packet->l4 + ICMP_CHECKSUM, quote(frame, error, quoted));
	csum_update(ip + IPV4_CHECKSUM,
	            csum_change32(packet->tuple.src, src) + csum_change32(packet->tuple.dst, dst));
	be32_store(ip + IPV4_SRC, src);
	be32_store(ip + IPV4_DST, dst);
}
