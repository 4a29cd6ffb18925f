/*
 * Packets for the fuzzers.
 *
 * Nothing here uses lb/csum.h, lb/wire.h or lb/parse.c: offsets are written out, and sums are taken
 * modulo 65535 word by word, so that an error there can't hide here.
 */
#include "packets.h"

#include <string.h>

enum {
	ETHER = 14,
	TAG = 4,
	IP4 = 20,
	IP6 = 40,
	TCP = 20,
	ICMP = 8,
	NUM_ICMP = 1,
	NUM_TCP = 6,
	NUM_FRAGMENT = 44,
	NUM_ICMPV6 = 58,
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static uint32_t get16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

uint32_t packets_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum = (sum + (i % 2 ? p[i] : p[i] * 256u)) % 65535;
	return sum;
}

/* Of a field so that all comes to 0. */
static uint32_t complement(uint32_t sum)
{
	return 65535 - sum % 65535;
}

be32 packets_ip4(uint8_t last)
{
	return (be32){{10, 0, 0, last}};
}

struct ip6 packets_ip6(uint8_t last)
{
	return (struct ip6){{0x20, 0x01, 0x0d, 0xb8, [15] = last}};
}

/* Layer 2 for the EtherType; returns where layer 3 begins. */
static uint32_t put_link(uint8_t *p, const struct shape *shape, uint16_t ethertype)
{
	static const uint8_t macs[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9};
	static const uint16_t tpids[] = {0x88a8, 0x8100};
	uint32_t at = ETHER - 2;

	memcpy(p, macs, sizeof(macs));
	for (unsigned i = 0; i < shape->ntags % 3u; i++, at += TAG) {
		put16(p + at, tpids[i + 2u - shape->ntags % 3u]);
		put16(p + at + 2, 100 + i);
	}
	put16(p + at, ethertype);
	return at + 2;
}

static void put_ip4(uint8_t *p, const struct shape *shape, uint8_t protocol, uint32_t header,
                    uint32_t len)
{
	const be32 src = packets_ip4(shape->src), dst = packets_ip4(shape->dst);

	memset(p, 1, header); /* options: NOPs */
	p[0] = (uint8_t)(0x40 + header / 4);
	put16(p + 2, header + len);
	put16(p + 4, shape->id);
	put16(p + 6, shape->fragment ? shape->offset | (shape->more ? 0x2000u : 0) : 0x4000u);
	p[8] = 64;
	p[9] = protocol;
	put16(p + 10, 0);
	memcpy(p + 12, &src, 4);
	memcpy(p + 16, &dst, 4);
	put16(p + 10, complement(packets_sum(p, header, 0)));
}

/* An extension header before what *next says. */
static uint32_t put_extension(uint8_t *p, uint32_t at, uint8_t *slot, uint8_t header)
{
	memset(p + at, 0, 8);
	p[at] = *slot;
	*slot = header;
	return at + 8;
}

/* Returns where layer 4 begins. */
static uint32_t put_ip6(uint8_t *p, const struct shape *shape, uint8_t protocol, uint32_t len)
{
	const struct ip6 src = packets_ip6(shape->src), dst = packets_ip6(shape->dst);
	uint32_t at = IP6;
	uint8_t *slot = p + 6;

	memset(p, 0, IP6);
	p[0] = 0x60;
	p[6] = protocol;
	p[7] = protocol == NUM_ICMPV6 ? 255 : 64;
	memcpy(p + 8, &src, 16);
	memcpy(p + 24, &dst, 16);
	if (shape->options) {
		at = put_extension(p, at, slot, 0);
		slot = p + at - 8;
	}
	if (shape->fragment) {
		at = put_extension(p, at, slot, NUM_FRAGMENT);
		put16(p + at - 6, shape->offset * 8u + shape->more);
		put32(p + at - 4, shape->id);
	}
	put16(p + 4, at - IP6 + len);
	return at;
}

/* The pseudo header's sum. */
static uint32_t pseudo(const struct shape *shape, uint8_t protocol, uint32_t len)
{
	const be32 src4 = packets_ip4(shape->src), dst4 = packets_ip4(shape->dst);
	const struct ip6 src6 = packets_ip6(shape->src), dst6 = packets_ip6(shape->dst);
	uint32_t sum = protocol + len;

	if (!shape->ipv6)
		return packets_sum(dst4.b, 4, packets_sum(src4.b, 4, sum));
	return packets_sum(dst6.b, 16, packets_sum(src6.b, 16, sum));
}

/* What follows the IP header, whole; returns its length. */
static uint32_t make_tcp(uint8_t *p, const struct shape *shape)
{
	uint32_t header = TCP + (shape->options && shape->flags & PACKETS_SYN ? 4u : 0);
	uint32_t len = header + shape->payload % (PACKETS_PAYLOAD_MAX + 1u), sum;

	memset(p, 0, header);
	memset(p + header, 'x', len - header);
	put16(p, shape->sport);
	put16(p + 2, shape->dport);
	put32(p + 4, shape->seq);
	put32(p + 8, shape->ack);
	p[12] = (uint8_t)(header / 4 * 16);
	p[13] = shape->flags;
	put16(p + 14, shape->window);
	if (header > TCP)
		memcpy(p + TCP, (const uint8_t[]){1, 3, 3, 7}, 4);
	sum = pseudo(shape, NUM_TCP, len);
	put16(p + 16, shape->partial ? sum : complement(packets_sum(p, len, sum)));
	p[17] = (uint8_t)(p[17] + shape->wrong);
	return len;
}

/* Puts the IP header before len bytes of layer 4; returns the packet's length. */
static uint32_t put_packet(uint8_t *p, const struct shape *shape, uint8_t protocol,
                           const uint8_t *l4, uint32_t len)
{
	uint32_t header = shape->options ? IP4 + 4 : IP4;

	if (shape->ipv6)
		header = put_ip6(p, shape, protocol, len);
	else
		put_ip4(p, shape, protocol, header, len);
	memcpy(p + header, l4, len);
	return header + len;
}

static uint32_t put_tcp(uint8_t *p, const struct shape *shape)
{
	uint8_t tcp[PACKETS_BYTES];
	uint32_t len = make_tcp(tcp, shape), from = 0;

	if (shape->fragment) {
		from = shape->offset * 8u < len ? shape->offset * 8u : len;
		len = shape->len < len - from ? shape->len : len - from;
	}
	return put_packet(p, shape, NUM_TCP, tcp + from, len);
}

static uint16_t ethertype(const struct shape *shape)
{
	return shape->ipv6 ? 0x86dd : 0x0800;
}

uint32_t packets_tcp(uint8_t *frame, const struct shape *shape)
{
	uint32_t l3 = put_link(frame, shape, ethertype(shape));

	return l3 + put_tcp(frame + l3, shape);
}

static uint32_t put_icmp(uint8_t *frame, const struct shape *shape, uint8_t *icmp, uint32_t len)
{
	uint32_t l3 = put_link(frame, shape, ethertype(shape));
	uint8_t protocol = shape->ipv6 ? NUM_ICMPV6 : NUM_ICMP;

	put16(icmp + 2, 0);
	put16(icmp + 2,
	      complement(packets_sum(icmp, len, shape->ipv6 ? pseudo(shape, protocol, len) : 0)));
	return l3 + put_packet(frame + l3, shape, protocol, icmp, len);
}

uint32_t packets_icmp_error(uint8_t *frame, const struct shape *shape, uint8_t type,
                            const struct shape *quoted, uint32_t bytes)
{
	uint8_t icmp[PACKETS_BYTES] = {type};
	uint32_t len = put_tcp(icmp + ICMP, quoted);

	return put_icmp(frame, shape, icmp, ICMP + (bytes < len ? bytes : len));
}

uint32_t packets_echo(uint8_t *frame, const struct shape *shape)
{
	uint8_t icmp[PACKETS_BYTES] = {shape->ipv6 ? 128 : 8};

	return put_icmp(frame, shape, icmp, ICMP + shape->payload % (PACKETS_PAYLOAD_MAX + 1u));
}

static uint32_t put_nd(uint8_t *frame, const struct shape *shape, uint8_t operation)
{
	const struct ip6 target = packets_ip6(operation == 1 ? shape->dst : shape->src);
	uint8_t icmp[PACKETS_BYTES] = {operation == 1 ? 135 : 136};

	memcpy(icmp + 8, &target, 16);
	memcpy(icmp + 24, (const uint8_t[]){operation == 1 ? 1 : 2, 1, 2, 0, 0, 0, 0, 9}, 8);
	return put_icmp(frame, shape, icmp, 32);
}

uint32_t packets_neighbour(uint8_t *frame, const struct shape *shape, uint8_t operation)
{
	static const uint8_t start[] = {0, 1, 8, 0, 6, 4, 0};
	const be32 src = packets_ip4(shape->src), dst = packets_ip4(shape->dst);
	uint32_t l3;
	uint8_t *p;

	if (shape->ipv6)
		return put_nd(frame, shape, operation);
	l3 = put_link(frame, shape, 0x0806);
	p = frame + l3;
	memset(p, 0, 28);
	memcpy(p, start, sizeof(start));
	p[7] = operation;
	memcpy(p + 8, (const uint8_t[]){2, 0, 0, 0, 0, 9}, 6);
	memcpy(p + 14, &src, 4);
	memcpy(p + 24, &dst, 4);
	return l3 + 28;
}

/* The part of a packet that the frame holds, if length is right. */
static uint32_t shorter(const struct parts *parts, uint32_t length)
{
	uint32_t left = parts->end - parts->l3;

	return parts->l3 + (length < left ? length : left);
}

static bool parts_ip4(const uint8_t *p, bool quoted, struct parts *ret)
{
	uint32_t left = ret->end - ret->l3, header;

	if (left < IP4 || p[0] >> 4 != 4)
		return false;
	header = (p[0] & 15u) * 4;
	if (header < IP4 || left < header || (!quoted && get16(p + 2) < header))
		return false;
	ret->l4 = ret->l3 + header;
	if (!quoted)
		ret->end = shorter(ret, get16(p + 2));
	ret->later = get16(p + 6) & 0x1fff;
	ret->more = get16(p + 6) & 0x2000;
	ret->id = get16(p + 4);
	ret->protocol = p[9];
	return true;
}

static void parts_fragment(const uint8_t *p, struct parts *ret)
{
	ret->later = get16(p + 2) & 0xfff8;
	ret->more = p[3] & 1;
	ret->id = get32(p + 4);
}

/* Up to what isn't an extension header that is walked. */
static bool parts_ip6(const uint8_t *p, bool quoted, struct parts *ret)
{
	uint8_t next;

	if (ret->end - ret->l3 < IP6 || p[0] >> 4 != 6)
		return false;
	if (!quoted)
		ret->end = shorter(ret, IP6 + get16(p + 4));
	ret->l4 = ret->l3 + IP6;
	next = p[6];
	while ((next == 0 || next == 43 || next == NUM_FRAGMENT || next == 60) && !ret->later) {
		const uint8_t *header = p + ret->l4 - ret->l3;
		uint32_t left = ret->end - ret->l4, len;

		if (left < 8)
			return false;
		len = next == NUM_FRAGMENT ? 8 : header[1] * 8u + 8;
		if (left < len)
			return false;
		if (next == NUM_FRAGMENT)
			parts_fragment(header, ret);
		next = header[0];
		ret->l4 += len;
	}
	ret->protocol = next;
	return true;
}

bool packets_parts(const uint8_t *frame, uint32_t len, struct parts *ret)
{
	uint32_t at = ETHER - 2, type;
	unsigned tags = 0;

	*ret = (struct parts){.end = len};
	if (len < ETHER)
		return false;
	while (((type = get16(frame + at)) == 0x8100 || type == 0x88a8 || type == 0x9100) &&
	       tags++ < 2 && len >= at + TAG + 2)
		at += TAG;
	ret->l3 = at + 2;
	ret->ipv6 = type == 0x86dd;
	if (type == 0x0800)
		return parts_ip4(frame + ret->l3, false, ret);
	return ret->ipv6 && parts_ip6(frame + ret->l3, false, ret);
}

bool packets_quoted(const uint8_t *frame, const struct parts *error, struct parts *ret)
{
	*ret = (struct parts){.l3 = error->l4 + ICMP, .end = error->end, .ipv6 = error->ipv6};
	if (error->protocol != (error->ipv6 ? NUM_ICMPV6 : NUM_ICMP) || ret->l3 > ret->end)
		return false;
	return ret->ipv6 ? parts_ip6(frame + ret->l3, true, ret)
	                 : parts_ip4(frame + ret->l3, true, ret);
}

bool packets_reply(const uint8_t *frame, uint32_t frame_len, struct shape *ret)
{
	const uint8_t *ip, *tcp;
	struct parts parts;

	if (!packets_parts(frame, frame_len, &parts) || parts.protocol != NUM_TCP || parts.later ||
	    parts.end < parts.l4 + TCP)
		return false;
	ip = frame + parts.l3;
	tcp = frame + parts.l4;
	*ret = (struct shape){
	        .ipv6 = parts.ipv6,
	        .src = ip[parts.ipv6 ? 39 : 19],
	        .dst = ip[parts.ipv6 ? 23 : 15],
	        .sport = (uint16_t)get16(tcp + 2),
	        .dport = (uint16_t)get16(tcp),
	        .flags = PACKETS_ACK,
	        .seq = get32(tcp + 8),
	        .ack = get32(tcp + 4) + parts.end - parts.l4 - (tcp[12] >> 4) * 4u +
	               (tcp[13] & PACKETS_FIN) + (tcp[13] >> 1 & 1u),
	        .window = 1000,
	};
	return true;
}

void packets_put_ports(uint8_t *tcp, uint16_t sport, uint16_t dport)
{
	put16(tcp, sport);
	put16(tcp + 2, dport);
}

static uint32_t sum_addresses(const uint8_t *p, const struct parts *parts)
{
	return packets_sum(p + parts->l3 + (parts->ipv6 ? 8 : 12), parts->ipv6 ? 32 : 8, 0);
}

/* Where layer 4's checksum stands, or 0 if there is none. */
static uint32_t checksum_at(const struct parts *parts)
{
	uint32_t at = parts->l4 + (parts->protocol == NUM_TCP ? 16 : 2);
	bool has = parts->protocol == NUM_TCP ||
	           parts->protocol == (parts->ipv6 ? NUM_ICMPV6 : NUM_ICMP);

	return has && !parts->later && parts->end >= at + 2 ? at : 0;
}

struct packets_wrong packets_wrong(const uint8_t *frame, const struct parts *parts)
{
	struct packets_wrong ret = {0, 0};
	uint32_t sum = parts->protocol + parts->end - parts->l4 + sum_addresses(frame, parts);

	if (!parts->ipv6)
		ret.ip = packets_sum(frame + parts->l3, parts->l4 - parts->l3, 0);
	if (checksum_at(parts))
		ret.l4 = packets_sum(frame + parts->l4, parts->end - parts->l4,
		                     parts->protocol == NUM_ICMP ? 0 : sum);
	return ret;
}

/* Changes the field by so much, modulo 65535. */
static void adjust(uint8_t *field, uint32_t now, uint32_t wanted)
{
	put16(field, (get16(field) + wanted + 65535 - now) % 65535);
}

void packets_fix(uint8_t *frame, const struct parts *parts, struct packets_wrong wrong)
{
	struct packets_wrong now = packets_wrong(frame, parts);

	if (!parts->ipv6)
		adjust(frame + parts->l3 + 10, now.ip, wrong.ip);
	if (checksum_at(parts))
		adjust(frame + checksum_at(parts), now.l4, wrong.l4);
}
