/*
 * Reading frames.
 *
 * Each header is obtained as a pointer from at(), which checks that the frame holds all of its
 * bytes; there is no other way to reach into a frame here. Validation is a ladder: what is read
 * early decides whether the frame is for us at all, so it must accept anything; what only matters
 * to packets for us comes in later steps, which the caller takes one by one.
 */
#include "parse.h"

#include <stddef.h>

/* The len bytes at offset, or NULL if the frame doesn't hold them all. */
static inline const uint8_t *at(const struct frame *frame, uint32_t offset, uint32_t len)
{
	if (frame->len < offset || frame->len - offset < len)
		return NULL;
	return frame->data + offset;
}

/* Reads MAC and tags. Returns the EtherType behind them, or 0 if the frame ends before. */
static uint16_t parse_link(const struct frame *frame, struct packet *ret)
{
	const uint8_t *p = at(frame, 0, ETH_HEADER_BYTES);
	uint32_t offset = ETH_HEADER_BYTES;
	uint16_t ethertype;
	unsigned tpid;

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
	ret->src6 = ret->dst6 = NULL;
	if (ethertype == ETHERTYPE_IPV4) {
		p = at(frame, ret->l3, IPV4_HEADER_BYTES);
		if (!p || p[0] >> 4 != 4)
			return;
		tuple_load_addresses(&ret->tuple, p + IPV4_SRC);
		ret->kind = PACKET_IPV4;
	} else if (ethertype == ETHERTYPE_ARP) {
		parse_arp(frame, ret);
	} else if (ethertype == ETHERTYPE_IPV6) {
		p = at(frame, ret->l3, IPV6_HEADER_BYTES);
		if (!p || p[0] >> 4 != 6)
			return;
		ret->src6 = (const struct ip6 *)(p + IPV6_SRC);
		ret->dst6 = (const struct ip6 *)(p + IPV6_DST);
		ret->kind = PACKET_IPV6;
	}
}

static bool parse_ipv4(const struct frame *frame, struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l3, IPV4_HEADER_BYTES);
	uint32_t header, total;
	uint16_t fragment;

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
	fragment = be16_get(be16_load(p + IPV4_FRAGMENT));
	packet->is_fragment = fragment & IPV4_FRAGMENT_MASK;
	packet->frag_offset = (uint16_t)((fragment & IPV4_OFFSET_MASK) * 8u);
	packet->frag_id = be32_from(be16_get(be16_load(p + IPV4_ID)));
	packet->frag_id_at = (uint16_t)(packet->l3 + IPV4_ID);
	packet->frag_more = fragment & IPV4_MORE;
	return true;
}

/* A fragment that is all of its packet counts as none (RFC 6946). */
static void note_fragment(const uint8_t *p, uint32_t offset, struct packet *packet)
{
	uint16_t fragment = be16_get(be16_load(p + IPV6_FRAGMENT_OFFSET));

	packet->is_fragment = fragment & IPV6_FRAGMENT_MASK;
	packet->frag_offset = fragment & IPV6_FRAGMENT_OFFSET_MASK;
	packet->frag_id = be32_load(p + IPV6_FRAGMENT_ID);
	packet->frag_id_at = (uint16_t)(offset + IPV6_FRAGMENT_ID);
	packet->frag_more = fragment & IPV6_FRAGMENT_MORE;
}

/* If the walk goes on behind the extension header p of type next; in_fragment: a fragment header
 * has been passed. */
static bool is_walked(uint8_t next, const uint8_t *p, bool in_fragment)
{
	return next == IPPROTO_NUM_HOP_BY_HOP || next == IPPROTO_NUM_DESTINATION ||
	       (next == IPPROTO_NUM_FRAGMENT && !in_fragment) ||
	       (next == IPPROTO_NUM_ROUTING && p[IPV6_ROUTING_LEFT] == 0);
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_NUM_HOP_BY_HOP || next == IPPROTO_NUM_DESTINATION ||
	       next == IPPROTO_NUM_FRAGMENT || next == IPPROTO_NUM_ROUTING;
}

bool parse_extensions(const struct frame *frame, uint32_t end, uint8_t *next, uint32_t *offset,
                      struct packet *packet)
{
	bool in_fragment = false;

	packet->is_fragment = false;
	for (unsigned i = 0; is_extension(*next) && i < IPV6_EXTENSIONS_MAX; i++) {
		const uint8_t *p = at(frame, *offset, IPV6_EXTENSION_BYTES);
		uint32_t len = IPV6_EXTENSION_BYTES;

		if (!p)
			return false;
		if (!is_walked(*next, p, in_fragment))
			return true;
		in_fragment |= *next == IPPROTO_NUM_FRAGMENT;
		if (*next == IPPROTO_NUM_FRAGMENT)
			note_fragment(p, *offset, packet);
		else
			len += p[IPV6_EXTENSION_LENGTH] * (uint32_t)IPV6_EXTENSION_BYTES;
		if (end - *offset < len)
			return false;
		*offset += len;
		*next = p[0];
		if (packet->is_fragment && packet->frag_offset)
			return true; /* what follows is from the middle of a packet */
	}
	return true;
}

static bool parse_ipv6(const struct frame *frame, struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l3, IPV6_HEADER_BYTES);
	uint32_t offset = packet->l3 + (uint32_t)IPV6_HEADER_BYTES, end;
	uint8_t next;

	if (!p)
		return false;
	next = p[IPV6_NEXT_HEADER];
	end = offset + be16_get(be16_load(p + IPV6_PAYLOAD_LENGTH));
	if (frame->wire_len < end || !parse_extensions(frame, end, &next, &offset, packet))
		return false;
	packet->protocol = next;
	packet->l4 = (uint16_t)offset;
	packet->l4_len = (uint16_t)(end - offset);
	return true;
}

bool parse_ip(const struct frame *frame, struct packet *packet)
{
	switch ((enum packet_kind)packet->kind) {
	case PACKET_IPV4:
		return parse_ipv4(frame, packet);
	case PACKET_IPV6:
		return parse_ipv6(frame, packet);
	case PACKET_ARP:
	case PACKET_OTHER:
		break;
	}
	return false;
}

bool parse_is_icmp(const struct packet *packet)
{
	return packet->protocol ==
	       (packet->kind == PACKET_IPV6 ? IPPROTO_NUM_ICMPV6 : IPPROTO_NUM_ICMP);
}

/* Sets *ret to the link-layer address option of that type among len bytes of options, or NULL.
 * False if one of them has no length. */
static bool find_nd_option(const uint8_t *p, uint32_t len, uint8_t type, const uint8_t **ret)
{
	*ret = NULL;
	while (len >= ND_OPTION_BYTES) {
		uint32_t step = p[ND_OPTION_LENGTH] * (uint32_t)ND_OPTION_BYTES;

		if (step == 0)
			return false;
		if (p[0] == type && step == ND_OPTION_BYTES)
			*ret = p + ND_OPTION_MAC;
		if (step > len)
			break;
		p += step;
		len -= step;
	}
	return true;
}

bool parse_nd(const struct frame *frame, const struct packet *packet, struct nd *ret)
{
	const uint8_t *ip = frame->data + packet->l3, *nd, *mac;
	uint16_t len = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));

	nd = at(frame, packet->l3 + (uint32_t)IPV6_HEADER_BYTES, len);
	if (!nd || len < ND_BYTES || ip[IPV6_NEXT_HEADER] != IPPROTO_NUM_ICMPV6 ||
	    ip[IPV6_HOP_LIMIT] != ND_HOP_LIMIT || nd[ICMP_CODE] != 0 ||
	    (nd[ICMP_TYPE] != ND_SOLICITATION && nd[ICMP_TYPE] != ND_ADVERTISEMENT) ||
	    nd[ND_TARGET] == IPV6_GROUP)
		return false;
	ret->is_solicitation = nd[ICMP_TYPE] == ND_SOLICITATION;
	ret->overrides = ret->is_solicitation || nd[ND_FLAGS] & ND_OVERRIDE;
	ret->target = (const struct ip6 *)(nd + ND_TARGET);
	ret->mac = packet->from.mac;
	if (!find_nd_option(nd + ND_BYTES, len - (uint32_t)ND_BYTES,
	                    ret->is_solicitation ? ND_OPTION_SOURCE : ND_OPTION_TARGET, &mac))
		return false;
	ret->has_mac = mac != NULL;
	if (mac)
		memcpy(&ret->mac, mac, sizeof(ret->mac));
	return true;
}

/* One option of step bytes of a SYN or FIN (RFC 9293, 3.1; RFC 7323, 2.2 and 3.2). */
static void read_option(const uint8_t *option, uint32_t step, struct packet *packet)
{
	uint32_t stamp;

	if (option[0] == TCP_OPTION_WSCALE && step == TCP_OPTION_WSCALE_BYTES &&
	    packet->tcp_flags & TCP_SYN)
		packet->wscale = option[2] < TCP_WSCALE_MAX ? option[2] : TCP_WSCALE_MAX;
	if (option[0] == TCP_OPTION_TIMESTAMPS && step == TCP_OPTION_TIMESTAMPS_BYTES) {
		stamp = be32_get(be32_load(option + TCP_OPTION_HEAD_BYTES));
		packet->stamp = stamp ? stamp : 1;
	}
}

/* The options of a SYN or FIN, whose header, header bytes long, begins at p; of others they aren't
 * looked at. */
static void read_options(const struct frame *frame, const uint8_t *p, uint32_t header,
                         struct packet *packet)
{
	const uint8_t *option = p + TCP_HEADER_BYTES;
	uint32_t left = header - TCP_HEADER_BYTES;

	packet->wscale = PACKET_NO_WSCALE;
	packet->stamp = 0;
	if (!(packet->tcp_flags & (TCP_SYN | TCP_FIN)) || !at(frame, packet->l4, header))
		return;
	while (left >= TCP_OPTION_HEAD_BYTES && option[0] != TCP_OPTION_END) {
		uint32_t step = option[0] == TCP_OPTION_NOP ? 1 : option[1];

		if (step == 0 || step > left)
			break;
		read_option(option, step, packet);
		option += step;
		left -= step;
	}
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
	tuple_load_ports(&packet->tuple, p + TCP_SRC);
	parse_segment(p, packet->l4_len, p[TCP_FLAGS], packet);
	read_options(frame, p, header, packet);
	return true;
}

static_assert((int)PARSE_PLAIN_L3 == (int)ETH_HEADER_BYTES &&
                      (int)PARSE_PLAIN_L4 == ETH_HEADER_BYTES + IPV4_HEADER_BYTES,
              "no tag, no option");

void parse_plain(const struct frame *frame, struct packet *packet)
{
	const uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4;

	packet->kind = PACKET_IPV4;
	packet->protocol = IPPROTO_NUM_TCP;
	packet->is_fragment = false;
	packet->l3 = PARSE_PLAIN_L3;
	packet->l4 = PARSE_PLAIN_L4;
	packet->l4_len =
	        (uint16_t)(be16_get(be16_load(ip + IPV4_TOTAL_LENGTH)) - IPV4_HEADER_BYTES);
	parse_plain_hop(frame, &packet->from);
	tuple_load_addresses(&packet->tuple, ip + IPV4_SRC);
	tuple_load_ports(&packet->tuple, tcp + TCP_SRC);
	packet->src6 = packet->dst6 = NULL;
	parse_segment(tcp, packet->l4_len, tcp[TCP_FLAGS], packet);
	read_options(frame, tcp, (tcp[TCP_DATA_OFFSET] >> 4) * 4u, packet);
}

static_assert((int)PARSE_PLAIN_L4_IPV6 == ETH_HEADER_BYTES + IPV6_HEADER_BYTES, "no extension");

void parse_plain_ipv6(const struct frame *frame, struct packet *packet)
{
	const uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4_IPV6;

	packet->kind = PACKET_IPV6;
	packet->protocol = IPPROTO_NUM_TCP;
	packet->is_fragment = false;
	packet->l3 = PARSE_PLAIN_L3;
	packet->l4 = PARSE_PLAIN_L4_IPV6;
	packet->l4_len = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	parse_plain_hop(frame, &packet->from);
	tuple_load_ports(&packet->tuple, tcp + TCP_SRC);
	packet->src6 = (const struct ip6 *)(ip + IPV6_SRC);
	packet->dst6 = (const struct ip6 *)(ip + IPV6_DST);
	packet->wscale = PACKET_NO_WSCALE;
	parse_segment(tcp, packet->l4_len, tcp[TCP_FLAGS], packet);
}

csum_acc parse_pseudo_sum(const struct packet *packet)
{
	return packet->kind == PACKET_IPV6
	               ? csum_pseudo6(packet->src6, packet->dst6, packet->protocol, packet->l4_len)
	               : csum_pseudo(packet->tuple.src, packet->tuple.dst, packet->protocol,
	                             packet->l4_len);
}

bool parse_ip_checksum_ok(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *p = frame->data + packet->l3;

	return packet->kind == PACKET_IPV6 ||
	       csum_fold(csum_add(0, p, (p[0] & 0xfu) * 4)) == 0xffff;
}

bool parse_l4_checksum_ok(const struct frame *frame, const struct packet *packet)
{
	const uint8_t *p = at(frame, packet->l4, packet->l4_len);
	csum_acc sum = 0;

	if (frame->flags & FRAME_CSUM_PARTIAL)
		return true;
	if (!p)
		return false;
	if (packet->protocol != IPPROTO_NUM_ICMP)
		sum = parse_pseudo_sum(packet);
	return csum_fold(csum_add(sum, p, packet->l4_len)) == 0xffff;
}

bool parse_is_intact(const struct frame *frame, const struct packet *packet)
{
	return packet->is_fragment || frame->len < frame->wire_len ||
	       (parse_ip_checksum_ok(frame, packet) && parse_l4_checksum_ok(frame, packet));
}
