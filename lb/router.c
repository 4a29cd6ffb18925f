/*
 * A router's part.
 *
 * That a packet is too long is known only when it is known where it goes, and then it has been
 * rewritten: so its beginning is kept before, and put back for the quotation. What its flow has
 * noted of it stays noted, as if the packet had been lost behind us. IPv4 packets without DF aren't
 * cut into fragments, but answered with the ICMP error as well; TCP without path MTU discovery is
 * rare.
 */
#include "router.h"

enum {
	ICMP_QUOTED_MOST = 576 - IPV4_HEADER_BYTES - ICMP_HEADER_BYTES, /* RFC 1812, 4.3.2.3 */
	ICMP_FRAGMENTATION_NEEDED = 4,
};

static bool is_ipv6(const struct frame *frame)
{
	return frame->data[ETH_HEADER_BYTES] >> 4 == 6;
}

void router_spend(struct frame *frame)
{
	uint8_t *ip = frame->data + ETH_HEADER_BYTES;

	if (is_ipv6(frame))
		ttl_spend6(ip);
	else
		ttl_spend4(ip);
}

/* Completes an answer that has been allowed: its source address, and what it quotes. */
static void fill(const struct rules *rules, const struct frame *frame, uint8_t type, uint8_t code,
                 struct own *own)
{
	const struct ip6 *router = way_router(rules, (enum side)frame->side, own->ipv6);
	const uint32_t len = frame->len - ETH_HEADER_BYTES;

	own->icmp_type = type;
	own->icmp_code = code;
	own->l4 = ETH_HEADER_BYTES;
	own->l4_len = (uint16_t)(len < ICMP_QUOTED_MOST ? len : ICMP_QUOTED_MOST);
	if (!router)
		return; /* from the address that the packet was to */
	own->src6 = *router;
	if (!own->ipv6)
		memcpy(&own->tuple.src, router->b + 12, sizeof(own->tuple.src));
}

void router_expired(const struct rules *rules, struct refuse *refuse, const struct frame *frame,
                    const struct packet *packet, lb_time now, struct verdict *v)
{
	if (refuse_by_icmp(refuse, v, WHY_TTL_EXPIRED, packet, now))
		fill(rules, frame, packet->src6 ? ICMPV6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED, 0,
		     &v->own);
}

/* The length at layer 3 of the frame, or of the TCP packets that it will be cut into if it is
 * merged. */
static uint32_t longest(const struct frame *frame)
{
	const uint8_t *ip = frame->data + ETH_HEADER_BYTES;
	const uint32_t len = frame->wire_len - ETH_HEADER_BYTES;
	uint32_t l4 = is_ipv6(frame) ? IPV6_HEADER_BYTES : (ip[0] & 15u) * 4;

	if (!frame->merged || frame->len < ETH_HEADER_BYTES + l4 + TCP_HEADER_BYTES)
		return len;
	return l4 + (ip[l4 + TCP_DATA_OFFSET] >> 4) * 4u + frame->merged;
}

void router_keep(const struct frame *frame, uint32_t mtu, struct router_original *ret)
{
	ret->len = 0;
	if (!mtu || frame->len < ETH_HEADER_BYTES + IPV4_HEADER_BYTES || longest(frame) <= mtu)
		return;
	ret->len = longest(frame);
	ret->kept = frame->len < ROUTER_KEPT_BYTES ? frame->len : ROUTER_KEPT_BYTES;
	memcpy(ret->bytes, frame->data, ret->kept);
}

void router_too_big(const struct rules *rules, struct refuse *refuse, struct frame *frame,
                    const struct router_original *original, uint32_t mtu, lb_time now,
                    struct verdict *v)
{
	struct packet packet;
	uint8_t type;

	memcpy(frame->data, original->bytes, original->kept);
	parse_frame(frame, &packet);
	if (!parse_ip(frame, &packet) || packet.is_fragment || packet.protocol != IPPROTO_NUM_TCP)
		return verdict_settle(v, WHY_ICMP_LIMITED);
	if (!refuse_by_icmp(refuse, v, WHY_TOO_BIG, &packet, now))
		return;
	type = packet.src6 ? ICMPV6_PACKET_TOO_BIG : ICMP_UNREACHABLE;
	fill(rules, frame, type, packet.src6 ? 0 : ICMP_FRAGMENTATION_NEEDED, &v->own);
	v->own.mtu = mtu;
}
