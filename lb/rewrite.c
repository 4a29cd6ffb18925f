/*
 * Rewriting a packet's addresses and ports.
 *
 * parse_tcp() has seen that both headers are within the frame, so that all offsets are good.
 */
#include "rewrite.h"

#include "csum.h"
#include "wire.h"

void rewrite_tcp(struct frame *frame, const struct packet *packet, const struct tuple *to)
{
	const struct tuple *from = &packet->tuple;
	uint8_t *ip = frame->data + packet->l3;
	uint8_t *tcp = frame->data + packet->l4;
	csum_acc addresses = csum_change32(from->src, to->src) + csum_change32(from->dst, to->dst);
	csum_acc ports =
	        csum_change16(from->sport, to->sport) + csum_change16(from->dport, to->dport);

	be32_store(ip + IPV4_SRC, to->src);
	be32_store(ip + IPV4_DST, to->dst);
	csum_update(ip + IPV4_CHECKSUM, addresses);
	be16_store(tcp + TCP_SRC, to->sport);
	be16_store(tcp + TCP_DST, to->dport);
	if (frame->flags & FRAME_CSUM_PARTIAL)
		csum_update_partial(tcp + TCP_CHECKSUM, addresses);
	else
		csum_update(tcp + TCP_CHECKSUM, addresses + ports);
}

void rewrite_addresses(struct frame *frame, const struct packet *packet, be32 src, be32 dst)
{
	uint8_t *ip = frame->data + packet->l3;
	csum_acc change =
	        csum_change32(packet->tuple.src, src) + csum_change32(packet->tuple.dst, dst);

	be32_store(ip + IPV4_SRC, src);
	be32_store(ip + IPV4_DST, dst);
	csum_update(ip + IPV4_CHECKSUM, change);
}
