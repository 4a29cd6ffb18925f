/*
 * Rewriting a packet's addresses and ports.
 *
 * Whoever parsed the packet has seen that its headers are within the frame, so that all offsets are
 * good.
 */
#include "rewrite.h"

#include "wire.h"

static csum_acc rewrite_ipv4(uint8_t *ip, const struct tuple *from, const struct rewrite_to *to)
{
	const uint64_t addresses = tuple_addresses(&to->tuple);
	csum_acc change = csum_change_addresses(tuple_addresses(from), addresses);

	memcpy(ip + IPV4_SRC, &addresses, sizeof(addresses));
	csum_update(ip + IPV4_CHECKSUM, change);
	return change;
}

static csum_acc rewrite_ipv6(uint8_t *ip, const struct packet *packet, const struct rewrite_to *to)
{
	csum_acc change =
	        csum_change_ip6(packet->src6, to->src6) + csum_change_ip6(packet->dst6, to->dst6);

	memmove(ip + IPV6_SRC, to->src6, sizeof(*to->src6));
	memmove(ip + IPV6_DST, to->dst6, sizeof(*to->dst6));
	return change;
}

csum_acc rewrite_addresses(struct frame *frame, const struct packet *packet,
                           const struct rewrite_to *to)
{
	uint8_t *ip = frame->data + packet->l3;

	return packet->kind == PACKET_IPV6 ? rewrite_ipv6(ip, packet, to)
	                                   : rewrite_ipv4(ip, &packet->tuple, to);
}

void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct rewrite_to *to)
{
	uint8_t *tcp = frame->data + packet->l4;
	csum_acc addresses = rewrite_addresses(frame, packet, to);
	const uint32_t ports = tuple_ports(&to->tuple);

	memcpy(tcp + TCP_SRC, &ports, sizeof(ports));
	if (frame->flags & FRAME_CSUM_PARTIAL)
		csum_update_partial(tcp + TCP_CHECKSUM, addresses);
	else
		csum_update(tcp + TCP_CHECKSUM,
		            addresses + csum_change_ports(tuple_ports(&packet->tuple), ports));
}
