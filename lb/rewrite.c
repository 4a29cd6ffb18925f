/*
 * Rewriting a packet's addresses and ports.
 *
 * Whoever parsed the packet has seen that its headers are within the frame, so that all offsets are
 * good.
 */
#include "rewrite.h"

csum_acc rewrite_addresses(struct frame *frame, const struct packet *packet,
                           const struct rewrite_to *to)
{
	uint8_t *ip = frame->data + packet->l3;

	return packet->kind == PACKET_IPV6 ? rewrite_ipv6(ip, to->src6, to->dst6)
	                                   : rewrite_ipv4(ip, &packet->tuple, &to->tuple);
}

void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct rewrite_to *to)
{
	csum_acc addresses = rewrite_addresses(frame, packet, to);

	rewrite_ports(frame->data + packet->l4, frame->flags, &packet->tuple, &to->tuple,
	              addresses);
}

void rewrite_frag_id(struct frame *frame, const struct packet *packet, be32 id)
{
	uint8_t *at = frame->data + packet->frag_id_at;
	const be16 low = {{id.b[2], id.b[3]}};

	if (packet->kind == PACKET_IPV6) {
		be32_store(at, id);
		return;
	}
	csum_update(frame->data + packet->l3 + IPV4_CHECKSUM, csum_change16(be16_load(at), low));
	be16_store(at, low);
}
