/*
 * The way through the headers.
 *
 * A cursor steps from header to header, each of which says what follows. Nothing is believed of a
 * length but that the header itself is there. Tunnels in UDP are told by port numbers that anybody
 * may have changed; so their inside is found from its end: the IP header that stands before l4.
 */
#include "layers.h"

#include "../../lb/frame.h"
#include "../../lb/wire.h"

enum {
	ETHERTYPE_MPLS = 0x8847,
	ETHERTYPE_MPLS_MULTICAST = 0x8848,
	ETHERTYPE_PPPOE = 0x8864, /* RFC 2516, 4: the session stage */
	ETHERTYPE_BRIDGED = 0x6558,

	PROTOCOL_IPV4 = 4,
	PROTOCOL_UDP = 17,
	PROTOCOL_IPV6 = 41,
	PROTOCOL_GRE = 47,

	UDP_BYTES = 8,
	MPLS_BYTES = 4,
	MPLS_BOTTOM = 2, /* the byte whose lowest bit says that it is the last label */
	PPPOE_BYTES = 6,
	PPP_BYTES = 2,
	PPP_IPV4 = 0x0021, /* RFC 1332, 5072 */
	PPP_IPV6 = 0x0057,
	GRE_BYTES = 4,
	GRE_CHECKSUM = 0x80, /* of the first byte's bits, RFC 2784, 2890 */
	GRE_KEY = 0x20,
	GRE_OTHER = 0x5f, /* source routing, sequence numbers and what is reserved: not known */
	GRE_VERSION = 0x07,
};

/* What a header says of the next one. */
enum name { NAME_ETHERTYPE, NAME_PROTOCOL };

struct cursor {
	const uint8_t *frame;
	uint32_t len, at, l4;
	enum name name;
	uint16_t next; /* EtherType or protocol of what begins there */
	struct layers *layers;
};

static bool has(const struct cursor *c, uint32_t bytes)
{
	return c->at <= c->len && c->len - c->at >= bytes;
}

static uint16_t load16(const struct cursor *c, uint32_t at)
{
	return be16_get(be16_load(c->frame + at));
}

static bool note(struct cursor *c, enum layer_kind kind)
{
	struct layers *layers = c->layers;

	if (layers->n == LAYERS_MAX)
		return false;
	layers->layer[layers->n++] = (struct layer){kind, c->at};
	return true;
}

static bool go_on(struct cursor *c, uint32_t bytes, enum name name, uint16_t next)
{
	c->at += bytes;
	c->name = name;
	c->next = next;
	return true;
}

static bool step_tag(struct cursor *c)
{
	return has(c, FRAME_TAG_BYTES) &&
	       go_on(c, FRAME_TAG_BYTES, NAME_ETHERTYPE, load16(c, c->at + 2));
}

/* Labels don't say what is behind them: the first digit of an IP header tells its version. */
static bool step_mpls(struct cursor *c)
{
	bool bottom = false;

	while (!bottom) {
		if (!has(c, MPLS_BYTES + 1))
			return false;
		bottom = c->frame[c->at + MPLS_BOTTOM] & 1;
		c->at += MPLS_BYTES;
	}
	return go_on(c, 0, NAME_ETHERTYPE,
	             c->frame[c->at] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
}

static bool step_pppoe(struct cursor *c)
{
	uint16_t ppp;

	if (!has(c, PPPOE_BYTES + PPP_BYTES) || !note(c, LAYER_PPPOE))
		return false;
	ppp = load16(c, c->at + PPPOE_BYTES);
	if (ppp != PPP_IPV4 && ppp != PPP_IPV6)
		return false;
	return go_on(c, PPPOE_BYTES + PPP_BYTES, NAME_ETHERTYPE,
	             ppp == PPP_IPV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

static uint32_t ipv4_header_bytes(const uint8_t *header)
{
	return (header[0] & 0x0fu) * 4;
}

static bool step_ipv4(struct cursor *c)
{
	const uint8_t *header = c->frame + c->at;

	if (!has(c, IPV4_HEADER_BYTES) || header[0] >> 4 != 4 ||
	    ipv4_header_bytes(header) < IPV4_HEADER_BYTES || !has(c, ipv4_header_bytes(header)) ||
	    load16(c, c->at + IPV4_FRAGMENT) & IPV4_FRAGMENT_MASK || !note(c, LAYER_IPV4))
		return false;
	return go_on(c, ipv4_header_bytes(header), NAME_PROTOCOL, header[IPV4_PROTOCOL]);
}

static bool step_ipv6(struct cursor *c)
{
	const uint8_t *header = c->frame + c->at;

	if (!has(c, IPV6_HEADER_BYTES) || header[0] >> 4 != 6 || !note(c, LAYER_IPV6))
		return false;
	return go_on(c, IPV6_HEADER_BYTES, NAME_PROTOCOL, header[IPV6_NEXT_HEADER]);
}

static bool step_extension(struct cursor *c)
{
	const uint8_t *header = c->frame + c->at;
	uint32_t bytes;

	if (!has(c, IPV6_EXTENSION_BYTES))
		return false;
	bytes = (header[IPV6_EXTENSION_LENGTH] + 1u) * IPV6_EXTENSION_BYTES;
	return has(c, bytes) && go_on(c, bytes, NAME_PROTOCOL, header[0]);
}

static bool step_gre(struct cursor *c)
{
	const uint8_t *header = c->frame + c->at;
	uint32_t bytes = GRE_BYTES;
	uint16_t next;

	if (!has(c, GRE_BYTES) || header[0] & GRE_OTHER || header[1] & GRE_VERSION)
		return false;
	bytes += header[0] & GRE_CHECKSUM ? 4 : 0;
	bytes += header[0] & GRE_KEY ? 4 : 0;
	next = load16(c, c->at + 2);
	if (!has(c, bytes) || !note(c, LAYER_GRE))
		return false;
	if (next != ETHERTYPE_BRIDGED)
		return go_on(c, bytes, NAME_ETHERTYPE, next);
	c->at += bytes;
	return has(c, ETH_HEADER_BYTES) &&
	       go_on(c, ETH_HEADER_BYTES, NAME_ETHERTYPE, load16(c, c->at + ETH_TYPE));
}

/* An IP header with what is at l4 right behind it: where, or 0. */
static uint32_t find_last_ip(const struct cursor *c, uint32_t from)
{
	for (uint32_t bytes = IPV4_HEADER_BYTES; bytes <= 60; bytes += 4)
		if (c->l4 >= from + bytes) {
			const uint8_t *header = c->frame + c->l4 - bytes;

			if (header[0] >> 4 == 4 && ipv4_header_bytes(header) == bytes &&
			    (header[IPV4_PROTOCOL] == IPPROTO_NUM_TCP ||
			     header[IPV4_PROTOCOL] == PROTOCOL_UDP))
				return c->l4 - bytes;
		}
	if (c->l4 >= from + IPV6_HEADER_BYTES) {
		const uint8_t *header = c->frame + c->l4 - IPV6_HEADER_BYTES;

		if (header[0] >> 4 == 6 && (header[IPV6_NEXT_HEADER] == IPPROTO_NUM_TCP ||
		                            header[IPV6_NEXT_HEADER] == PROTOCOL_UDP))
			return c->l4 - IPV6_HEADER_BYTES;
	}
	return 0;
}

static bool step_udp(struct cursor *c)
{
	uint32_t ip;

	if (!has(c, UDP_BYTES) || !note(c, LAYER_UDP))
		return false;
	ip = find_last_ip(c, c->at + UDP_BYTES);
	if (!ip)
		return false;
	c->at = ip;
	return go_on(c, 0, NAME_ETHERTYPE,
	             c->frame[ip] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
}

static bool step_ethertype(struct cursor *c)
{
	switch (c->next) {
	case ETHERTYPE_8021Q:
	case ETHERTYPE_8021AD:
	case ETHERTYPE_QINQ_OLD:
		return step_tag(c);
	case ETHERTYPE_MPLS:
	case ETHERTYPE_MPLS_MULTICAST:
		return step_mpls(c);
	case ETHERTYPE_PPPOE:
		return step_pppoe(c);
	case ETHERTYPE_IPV4:
		return step_ipv4(c);
	case ETHERTYPE_IPV6:
		return step_ipv6(c);
	default:
		return false;
	}
}

static bool step_protocol(struct cursor *c)
{
	switch (c->next) {
	case PROTOCOL_IPV4:
		return go_on(c, 0, NAME_ETHERTYPE, ETHERTYPE_IPV4);
	case PROTOCOL_IPV6:
		return go_on(c, 0, NAME_ETHERTYPE, ETHERTYPE_IPV6);
	case PROTOCOL_GRE:
		return step_gre(c);
	case PROTOCOL_UDP:
		return step_udp(c);
	case IPPROTO_NUM_HOP_BY_HOP:
	case IPPROTO_NUM_ROUTING:
	case IPPROTO_NUM_DESTINATION:
		return step_extension(c);
	default:
		return false;
	}
}

static bool is_there(const struct cursor *c)
{
	return c->at == c->l4 && c->name == NAME_PROTOCOL &&
	       (c->next == IPPROTO_NUM_TCP || c->next == PROTOCOL_UDP);
}

bool layers_find(const uint8_t *frame, uint32_t len, uint32_t l4, struct layers *ret)
{
	struct cursor c = {.frame = frame, .len = len, .l4 = l4, .layers = ret};

	ret->n = 0;
	if (l4 > len || !has(&c, ETH_HEADER_BYTES))
		return false;
	go_on(&c, ETH_HEADER_BYTES, NAME_ETHERTYPE, load16(&c, ETH_TYPE));
	while (!is_there(&c))
		if (c.at > l4 ||
		    !(c.name == NAME_ETHERTYPE ? step_ethertype(&c) : step_protocol(&c)))
			return false;
	ret->l4 = l4;
	ret->protocol = (uint8_t)c.next;
	return true;
}

bool layers_is_plain(const uint8_t *frame, uint32_t len, uint32_t l4)
{
	uint32_t at = ETH_HEADER_BYTES, end;
	uint16_t type;

	if (l4 > len || len < ETH_HEADER_BYTES)
		return false;
	type = be16_get(be16_load(frame + ETH_TYPE));
	while (type == ETHERTYPE_8021Q || type == ETHERTYPE_8021AD || type == ETHERTYPE_QINQ_OLD) {
		at += FRAME_TAG_BYTES;
		if (at > l4)
			return false;
		type = be16_get(be16_load(frame + at - 2));
	}
	if (at + IPV4_HEADER_BYTES > l4)
		return false;
	if (type == ETHERTYPE_IPV4)
		end = at + ipv4_header_bytes(frame + at);
	else if (type == ETHERTYPE_IPV6)
		end = at + IPV6_HEADER_BYTES;
	else
		return false;
	return end == l4;
}
