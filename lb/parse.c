/*
 * Reading frames.
 *
 * Each header is obtained as a pointer from at(), which checks that the frame holds all of its
 * bytes; there is no other way to reach into a frame here. Validation is a ladder: what is read
 * early decides whether the frame is for us at all, so it must accept anything; what only matters
 * to packets for us comes in later steps, which the caller takes one by one.
 */
#include "parse.h"

#include "csum.h"
#include "wire.h"

#include <stddef.h>

/* The len bytes at offset, or NULL if the frame doesn't hold them all. */
static inline const uint8_t *at(const struct frame *frame, uint32_t offset, uint32_t len)
{
	if (frame->len < offset || frame->len - offset < len)
		return NULL;
	return frame->data + offset;
}

/* If ethertype is a VLAN tag's TPID, says which. */
static bool tpid_of(uint16_t ethertype, uint8_t *ret)
{
	switch (ethertype) {
	case ETHERTYPE_8021Q:
		*ret = TPID_8021Q;
		return true;
	case ETHERTYPE_8021AD:
		*ret = TPID_8021AD;
		return true;
	case ETHERTYPE_QINQ_OLD:
		*ret = TPID_QINQ_OLD;
		return true;
	default:
		return false;
	}
}

/* Reads MAC and tags. Returns the EtherType behind them, or 0 if the frame ends before. */
static uint16_t parse_link(const struct frame *frame, struct packet *ret)
{
	const uint8_t *p = at(frame, 0, ETH_HEADER_BYTES);
	uint32_t offset = ETH_HEADER_BYTES;
	uint16_t ethertype;
	uint8_t tpid;

	ret->from = (struct hop){.side = frame->side & 1u};
	if (!p)
		return 0;
	memcpy(&ret->from.mac, p + ETH_SRC, sizeof(ret->from.mac));
	ethertype = be16_get(be16_load(p + ETH_TYPE));
	while (tpid_of(ethertype, &tpid) && ret->from.ntags < FRAME_TAGS_MAX) {
		p = at(frame, offset, FRAME_TAG_BYTES);
		if (!p)
			return 0;
		ret->from.tci[ret->from.ntags] = be16_load(p);
		if (ret->from.ntags == 0)
			ret->from.tpid0 = tpid & 3u;
		else
			ret->from.tpid1 = tpid & 3u;
		ret->from.ntags = (ret->from.ntags + 1u) & 3u;
		ethertype = be16_get(be16_load(p + 2));
		offset += FRAME_TAG_BYTES;
	}
	ret->l3 = (uint16_t)offset;
	return ethertype;
}

static void parse_arp(const struct frame *frame, struct packet *ret)
{
	const uint8_t *p = at(frame, ret->l3, ARP_BYTES);
	uint16_t oper;

	if (!p || be16_get(be16_load(p + ARP_HTYPE)) != ARP_HTYPE_ETHERNET ||
	    be16_get(be16_load(p + ARP_PTYPE)) != ETHERTYPE_IPV4 || p[ARP_HLEN] != 6 ||
	    p[ARP_PLEN] != 4)
		return;
	oper = be16_get(be16_load(p + ARP_OPER));
	ret->arp_oper = oper == ARP_REQUEST || oper == ARP_REPLY ? (uint8_t)oper : 0;
	ret->tuple.src = be32_load(p + ARP_SPA);
	ret->tuple.dst = be32_load(p + ARP_TPA);
	memcpy(&ret->arp_sender, p + ARP_SHA, sizeof(ret->arp_sender));
	ret->kind = PACKET_ARP;
}

void parse_frame(const struct frame *frame, struct packet *ret)
{
	uint16_t ethertype = parse_link(frame, ret);
	const uint8_t *p;

	ret->kind = PACKET_OTHER;
	ret->tuple = (struct tuple){0};
	if (ethertype == ETHERTYPE_IPV4) {
		p = at(frame, ret->l3, IPV4_HEADER_BYTES);
		if (!p || p[0] >> 4 != 4)
			return;
		ret->tuple.src = be32_load(p + IPV4_SRC);
		ret->tuple.dst = be32_load(p + IPV4_DST);
		ret->kind = PACKET_IPV4;
	} else if (ethertype == ETHERTYPE_ARP) {
		parse_arp(frame, ret);
	}
}

bool parse_ipv4(const struct frame *frame, struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l3, IPV4_HEADER_BYTES);
	uint32_t header, total;

	if (!p)
		return false;
	header = (p[0] & 0xfu) * 4;
	total = be16_get(be16_load(p + IPV4_TOTAL_LENGTH));
	if (header < IPV4_HEADER_BYTES || total < header || frame->wire_len < packet->l3 ||
	    frame->wire_len - packet->l3 < total || !at(frame, packet->l3, header))
		return false;
	packet->protocol = p[IPV4_PROTOCOL];
	packet->l4 = (uint16_t)(packet->l3 + header);
	packet->l4_len = (uint16_t)(total - header);
	packet->is_fragment = be16_get(be16_load(p + IPV4_FRAGMENT)) & IPV4_FRAGMENT_MASK;
	return true;
}

/* The window scale option of a SYN with len bytes of options (RFC 9293, 3.1; RFC 7323, 2.2). */
static uint8_t find_wscale(const uint8_t *options, uint32_t len)
{
	while (len >= TCP_OPTION_WSCALE_BYTES && options[0] != TCP_OPTION_END) {
		uint32_t step = options[0] == TCP_OPTION_NOP ? 1 : options[1];

		if (step == 0 || step > len)
			break;
		if (options[0] == TCP_OPTION_WSCALE && step == TCP_OPTION_WSCALE_BYTES)
			return options[2] < TCP_WSCALE_MAX ? options[2] : TCP_WSCALE_MAX;
		options += step;
		len -= step;
	}
	return PACKET_NO_WSCALE;
}

bool parse_tcp(const struct frame *frame, struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l4, TCP_HEADER_BYTES);
	uint32_t header;

	if (!p)
		return false;
	header = (p[TCP_DATA_OFFSET] >> 4) * 4u;
	if (header < TCP_HEADER_BYTES || header > packet->l4_len)
		return false;
	packet->tuple.sport = be16_load(p + TCP_SRC);
	packet->tuple.dport = be16_load(p + TCP_DST);
	packet->seq = be32_get(be32_load(p + TCP_SEQ));
	packet->ack = be32_get(be32_load(p + TCP_ACK_NUMBER));
	packet->window = be16_get(be16_load(p + TCP_WINDOW));
	packet->tcp_flags = p[TCP_FLAGS];
	packet->wscale = PACKET_NO_WSCALE;
	if (packet->tcp_flags & TCP_SYN && at(frame, packet->l4, header))
		packet->wscale = find_wscale(p + TCP_HEADER_BYTES, header - TCP_HEADER_BYTES);
	packet->seq_len = packet->l4_len - header + !!(packet->tcp_flags & TCP_SYN) +
	                  !!(packet->tcp_flags & TCP_FIN);
	return true;
}

bool parse_l4_checksum_ok(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l4, packet->l4_len);
	csum_acc sum = 0;

	if (frame->flags & FRAME_CSUM_PARTIAL)
		return true;
	if (!p)
		return false;
	if (packet->protocol == IPPROTO_NUM_TCP)
		sum = csum_pseudo(packet->tuple.src, packet->tuple.dst, packet->protocol,
		                  packet->l4_len);
	return csum_fold(csum_add(sum, p, packet->l4_len)) == 0xffff;
}
