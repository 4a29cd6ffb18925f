/*
 * The first of the packets that a merged frame was made of, as it was on the wire: how long it was,
 * and what its headers said of that. Filters judge a merged frame by it.
 *
 * The kernel's programs and the process compile this, so both see the same. What is neither TCP nor
 * UDP, nor one of these in one tunnel, is left as it is: nothing says where the payload begins that
 * was cut. Tunnels are VXLAN, GENEVE (RFC 7348, 8926), GRE without sequence numbers (RFC 2784,
 * 2890), and IP in IP (RFC 2003, 4213, 2473).
 */
#ifndef BRIDGE_FIRST_H
#define BRIDGE_FIRST_H

#include "../../lb/frame.h"
#include "../../lb/wire.h"

enum {
	FIRST_MASK = 255, /* headers begin here at the latest */
	FIRST_BEYOND = 64,
	FIRST_BYTES = FIRST_MASK + 1 + FIRST_BEYOND, /* that must be there to be read */
	FIRST_EXTENSIONS_MAX = 2,

	FIRST_VXLAN_PORT = 4789,
	FIRST_VXLAN_BYTES = 8,
	FIRST_GENEVE_PORT = 6081,
	FIRST_GENEVE_BYTES = 8,
	FIRST_GENEVE_PROTOCOL = 2,
	FIRST_GENEVE_OPTIONS = 0x3f, /* of the first byte: their length, in units of 4 bytes */
	FIRST_GENEVE_ETHERNET = 0x6558,
	FIRST_UDP_LENGTH = 4,

	FIRST_IPV4_IN_IP = 4, /* protocols */
	FIRST_IPV6_IN_IP = 41,
	FIRST_GRE = 47,
	FIRST_GRE_BYTES = 4,
	FIRST_GRE_CHECKSUM = 0x80, /* of the first byte; each is 4 bytes more */
	FIRST_GRE_KEY = 0x20,
	FIRST_GRE_OTHER = 0x5f,   /* source routing, sequence numbers and what is reserved */
	FIRST_GRE_VERSION = 0x07, /* of the second one */
	FIRST_GRE_PROTOCOL = 2,
};

/* An IP header, and where what it carries begins. */
struct first_ip {
	uint32_t l3, l4;
	uint32_t length_at, length_from; /* of its length: where it is, and where it counts from */
	uint32_t protocol;
};

/*
 * All numbers that are kept for longer than a line. In the kernel they are in a map, of whose
 * contents the verifier knows nothing: so it follows the program once from where several ways come
 * together, and not once for each of them, as without CAP_PERFMON Linux 6.1 does for a number in a
 * register, whatever that may be.
 */
struct first_notes {
	uint32_t len;     /* in: of the frame; out: of the packet */
	uint32_t merged;  /* in: how many bytes of payload each packet but the last had */
	uint32_t packets; /* out: in the frame */
	uint32_t at, type, payload;
	uint32_t is_tunnel;
	struct first_ip outer, inner;
};

struct first {
	uint8_t *bytes; /* FIRST_BYTES, what is behind the frame's end may be anything */
	volatile struct first_notes *notes;
};

#define FIRST_INLINE static inline __attribute__((always_inline))

/* The number as an index: what is added to a pointer is to be bounded alike on all ways. */
FIRST_INLINE uint32_t first_at(const struct first *first, uint32_t number)
{
	first->notes->at = number;
	return first->notes->at & FIRST_MASK;
}

FIRST_INLINE uint8_t first_byte(const struct first *first, uint32_t at)
{
	return first->bytes[first_at(first, at)];
}

FIRST_INLINE uint16_t first_load16(const struct first *first, uint32_t at)
{
	const uint8_t *p = first->bytes + first_at(first, at);

	return (uint16_t)(p[0] << 8 | p[1]);
}

FIRST_INLINE void first_store16(const struct first *first, uint32_t at, uint32_t value)
{
	uint8_t *p = first->bytes + first_at(first, at);

	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Finds where layer 3 begins, behind the tags, and its EtherType. */
FIRST_INLINE void first_find_l3(const struct first *first)
{
	volatile struct first_notes *notes = first->notes;
	unsigned tpid;

	notes->outer.l3 = ETH_HEADER_BYTES;
	notes->type = first_load16(first, ETH_TYPE);
	for (unsigned n = 0; n < FRAME_TAGS_MAX && tpid_of((uint16_t)notes->type, &tpid); n++) {
		notes->type = first_load16(first, notes->outer.l3 + 2);
		notes->outer.l3 += FRAME_TAG_BYTES;
	}
}

FIRST_INLINE void first_skip_extensions(const struct first *first, volatile struct first_ip *ip)
{
	for (unsigned n = 0; n < FIRST_EXTENSIONS_MAX; n++) {
		if (ip->protocol != IPPROTO_NUM_HOP_BY_HOP && ip->protocol != IPPROTO_NUM_ROUTING &&
		    ip->protocol != IPPROTO_NUM_DESTINATION)
			return;
		ip->protocol = first_byte(first, ip->l4);
		ip->l4 += (first_byte(first, ip->l4 + IPV6_EXTENSION_LENGTH) + 1u) *
		          IPV6_EXTENSION_BYTES;
	}
}

/* Reads the IP header that begins at ip->l3, behind notes->type; false if there is none, or what
 * it carries begins too far behind to be read and written. */
FIRST_INLINE bool first_read_ip(const struct first *first, volatile struct first_ip *ip)
{
	const uint32_t type = first->notes->type;

	if (type == ETHERTYPE_IPV4) {
		ip->l4 = ip->l3 + (first_byte(first, ip->l3) & 15u) * 4;
		ip->protocol = first_byte(first, ip->l3 + IPV4_PROTOCOL);
		ip->length_at = ip->l3 + IPV4_TOTAL_LENGTH;
		ip->length_from = ip->l3;
	} else if (type == ETHERTYPE_IPV6) {
		ip->l4 = ip->l3 + (uint32_t)IPV6_HEADER_BYTES;
		ip->protocol = first_byte(first, ip->l3 + IPV6_NEXT_HEADER);
		ip->length_at = ip->l3 + IPV6_PAYLOAD_LENGTH;
		ip->length_from = ip->l4;
		first_skip_extensions(first, ip);
	} else {
		return false;
	}
	return ip->l4 + TCP_HEADER_BYTES <= FIRST_MASK;
}

/* Where the payload of TCP or UDP begins, or 0. */
FIRST_INLINE uint32_t first_payload(const struct first *first, const volatile struct first_ip *ip)
{
	if (ip->protocol == IPPROTO_NUM_TCP)
		return ip->l4 + (first_byte(first, ip->l4 + TCP_DATA_OFFSET) >> 4) * 4u;
	return ip->protocol == IPPROTO_NUM_UDP ? ip->l4 + (uint32_t)UDP_HEADER_BYTES : 0;
}

/* The Ethernet header within the UDP of a tunnel, or 0. */
FIRST_INLINE uint32_t first_in_udp(const struct first *first, uint32_t l4)
{
	const uint16_t port = first_load16(first, l4 + TCP_DST); /* UDP's is there as well */
	const uint32_t at = l4 + (uint32_t)UDP_HEADER_BYTES;

	if (port == FIRST_VXLAN_PORT)
		return at + FIRST_VXLAN_BYTES;
	if (port != FIRST_GENEVE_PORT ||
	    first_load16(first, at + FIRST_GENEVE_PROTOCOL) != FIRST_GENEVE_ETHERNET)
		return 0;
	return at + FIRST_GENEVE_BYTES + (first_byte(first, at) & FIRST_GENEVE_OPTIONS) * 4u;
}

/* What GRE carries, of notes->type, or 0. */
FIRST_INLINE uint32_t first_in_gre(const struct first *first, uint32_t l4)
{
	const uint8_t has = first_byte(first, l4);

	first->notes->type = first_load16(first, l4 + FIRST_GRE_PROTOCOL);
	if (has & FIRST_GRE_OTHER || first_byte(first, l4 + 1) & FIRST_GRE_VERSION)
		return 0;
	return l4 + FIRST_GRE_BYTES + (has & FIRST_GRE_CHECKSUM ? 4 : 0) +
	       (has & FIRST_GRE_KEY ? 4 : 0);
}

/* Finds the header of layer 3 within a tunnel, and its EtherType; 0 if there is none. */
FIRST_INLINE void first_find_tunnelled(const struct first *first)
{
	volatile struct first_notes *notes = first->notes;
	const uint32_t protocol = notes->outer.protocol, l4 = notes->outer.l4;

	notes->type = FIRST_GENEVE_ETHERNET;
	notes->inner.l3 = 0;
	if (protocol == FIRST_IPV4_IN_IP) {
		notes->type = ETHERTYPE_IPV4;
		notes->inner.l3 = l4;
	} else if (protocol == FIRST_IPV6_IN_IP) {
		notes->type = ETHERTYPE_IPV6;
		notes->inner.l3 = l4;
	} else if (protocol == FIRST_GRE) {
		notes->inner.l3 = first_in_gre(first, l4);
	} else if (protocol == IPPROTO_NUM_UDP) {
		notes->inner.l3 = first_in_udp(first, l4);
	}
	if (!notes->inner.l3 || notes->type != FIRST_GENEVE_ETHERNET)
		return;
	notes->type = first_load16(first, notes->inner.l3 + ETH_TYPE);
	notes->inner.l3 += ETH_HEADER_BYTES;
}

/*
 * The IP header within a tunnel whose payload was cut. If the payloads of UDP were merged side by
 * side, each of them with a header of its own, there is none: the first one says how long it is
 * itself.
 */
FIRST_INLINE bool first_find_inner(const struct first *first)
{
	volatile struct first_notes *notes = first->notes;
	volatile struct first_ip *inner = &notes->inner;

	first_find_tunnelled(first);
	if (!inner->l3 || inner->l3 > FIRST_MASK || !first_read_ip(first, inner))
		return false;
	return notes->outer.protocol != IPPROTO_NUM_UDP ||
	       first_load16(first, inner->length_at) + inner->length_from !=
	               notes->outer.l4 + UDP_HEADER_BYTES + notes->merged;
}

FIRST_INLINE void first_set_lengths(const struct first *first, const volatile struct first_ip *ip)
{
	first_store16(first, ip->length_at, first->notes->len - ip->length_from);
	if (ip->protocol == IPPROTO_NUM_UDP)
		first_store16(first, ip->l4 + FIRST_UDP_LENGTH, first->notes->len - ip->l4);
}

/*
 * Changes lengths in first->bytes, and notes->len and packets, to what they were of the first
 * packet. Returns false, and changes nothing of these, if that isn't known.
 */
FIRST_INLINE bool first_packet(const struct first *first)
{
	volatile struct first_notes *notes = first->notes;

	first_find_l3(first);
	if (!notes->merged || !first_read_ip(first, &notes->outer))
		return false;
	notes->is_tunnel = first_find_inner(first);
	if (notes->is_tunnel)
		notes->payload = first_payload(first, &notes->inner);
	else
		notes->payload = first_payload(first, &notes->outer);
	if (!notes->payload || notes->len <= notes->payload + notes->merged)
		return false;
	notes->packets = (notes->len - notes->payload + notes->merged - 1) / notes->merged;
	notes->len = notes->payload + notes->merged;
	first_set_lengths(first, &notes->outer);
	if (notes->is_tunnel)
		first_set_lengths(first, &notes->inner);
	return true;
}

#endif
