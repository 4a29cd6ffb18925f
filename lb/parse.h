/*
 * What a frame says, read with bounds checks.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "csum.h"
#include "frame.h"
#include "tuple.h"
#include "wire.h"

enum packet_kind {
	PACKET_OTHER, /* anything else: it can't be addressed to us */
	PACKET_ARP,   /* ARP for Ethernet and IPv4 */
	PACKET_IPV4,  /* an IPv4 header's fixed part, not yet checked */
	PACKET_IPV6,  /* the same of IPv6 */
};

enum { PACKET_NO_WSCALE = 15 };

struct packet {
	uint8_t kind;      /* enum packet_kind */
	uint8_t protocol;  /* parse_ip(): of layer 4, or of the extension header at which the walk
	                      ended */
	uint8_t tcp_flags; /* TCP_FIN ... */
	bool is_fragment;  /* parse_ip(): more follow, or the offset isn't 0 */
	uint8_t arp_oper;  /* ARP: 1 request, 2 reply, 0 anything else */
	uint16_t l3, l4;   /* offsets of the layer 3 and 4 headers in the frame */
	uint16_t l4_len;   /* layer 4: header and payload, bytes, as the IP header says */
	uint16_t frag_offset;  /* parse_ip(), of a fragment: where it belongs, in bytes */
	be32 frag_id;          /* parse_ip(), of a fragment: the identification of its packet */
	uint16_t frag_id_at;   /* where that stands in the frame: 2 bytes of IPv4, 4 of IPv6 */
	bool frag_more;        /* more follow */
	struct hop from;       /* who sent the frame, by its Ethernet header: for replies */
	struct mac arp_sender; /* ARP: the sender's MAC address as the packet itself says it (RFC
	                          826's ar$sha) */
	/*
	 * IPv4: addresses; TCP: and ports. ARP: src and dst are sender and target. IPv6: names,
	 * which are the caller's to fill in (name.h)
	 */
	struct tuple tuple;
	const struct ip6 *src6, *dst6; /* IPv6: addresses, in the frame; else NULL */
	uint16_t window;               /* TCP: as it stands there, host order */
	uint8_t wscale; /* TCP, of a SYN: its window scale option, or PACKET_NO_WSCALE */
	uint32_t stamp; /* TCP, of a SYN or FIN: its timestamp (TSval), never 0; 0: it has none */
	uint32_t seq, ack; /* TCP, host order */
	uint32_t seq_len;  /* TCP: sequence numbers that it takes: payload, SYN, FIN */
};

/* The IPv4 /24 or IPv6 /48 that the packet says to come from, as a number: even a forger can name
 * but a limited number of these. */
static inline uint64_t packet_network(const struct packet *packet)
{
	const uint64_t ip6_mask = 0xffffffffffff; /* the first 6 bytes in memory */

	return packet->src6 ? word64_load(packet->src6->b) & ip6_mask
	                    : be32_get(packet->tuple.src) >> 8;
}

/*
 * Reads layer 2 and as much of layer 3 as says to whom the packet goes: ret->kind, from, l3, and
 * the addresses. Anything that isn't a whole ARP packet or IP header is PACKET_OTHER.
 */
void parse_frame(const struct frame *frame, struct packet *ret);

/*
 * Checks the IPv4 or IPv6 header that parse_frame() found (RFC 791, RFC 1122 3.2.1; RFC 8200) and
 * fills protocol, l4, l4_len, is_fragment and, of a fragment, frag_offset and frag_id. False if it
 * can't be an IP packet: version, header or length. IPv4's header checksum isn't looked at: updated
 * incrementally, a wrong one stays wrong.
 *
 * IPv6's extension headers are walked up to the first that isn't known, that sends the packet on to
 * somebody else (a routing header with segments left), or that would be one too many
 * (IPV6_EXTENSIONS_MAX); that one is protocol then.
 */
bool parse_ip(const struct frame *frame, struct packet *packet);

/* If the packet, checked by parse_ip(), is ICMP of its version of IP. */
bool parse_is_icmp(const struct packet *packet);

/*
 * Walks IPv6's extension headers from *at, the first one being a *next, up to the frame's byte end.
 * Both are set to where the walk ended; see parse_ip(). With a fragment header sets what packet
 * says of it. False if a header doesn't end before end.
 */
bool parse_extensions(const struct frame *frame, uint32_t end, uint8_t *next, uint32_t *at,
                      struct packet *packet);

/* A neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4). */
struct nd {
	bool is_solicitation;
	bool overrides;           /* it may replace what is known otherwise (RFC 4861, 7.2.5) */
	const struct ip6 *target; /* in the frame */
	struct mac mac; /* of the sender, by the link-layer address option, or else by the frame */
	bool has_mac;   /* there is such an option */
};

/* If the frame, a PACKET_IPV6, is one that a host must believe (RFC 4861, 7.1); its checksum isn't
 * looked at. One behind extension headers counts as none, as nobody sends such. */
bool parse_nd(const struct frame *frame, const struct packet *packet, struct nd *ret);

/* Checks the TCP header (RFC 9293, 3.1) behind a checked IP header and fills in what it says. False
 * if it doesn't fit in the packet. */
bool parse_tcp(const struct frame *frame, struct packet *packet);

/* Where layers 3 and 4 of a plain frame begin, and the first byte of layer 3. */
enum { PARSE_PLAIN_L3 = 14, PARSE_PLAIN_L4 = 34, PARSE_PLAIN_VERSION = 0x45 };

/*
 * If the frame is what most are, all of its headers being as they should: untagged, not from a
 * group MAC address, IPv4 without options or fragments, TCP without SYN. Fields that stand together
 * are looked at together.
 */
static inline bool parse_is_plain(const struct frame *frame)
{
	const uint8_t *p = frame->data, *ip = p + PARSE_PLAIN_L3, *tcp = p + PARSE_PLAIN_L4;
	uint32_t version, fragment, total, header;

	if (frame->len < PARSE_PLAIN_L4 + TCP_HEADER_BYTES)
		return false;
	version = be32_get(be32_load(p + ETH_TYPE)) & ~0xffu; /* with the EtherType */
	fragment = be32_get(be32_load(ip + IPV4_FRAGMENT));   /* with TTL and protocol */
	total = be16_get(be16_load(ip + IPV4_TOTAL_LENGTH));
	header = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;
	return version == ((uint32_t)ETHERTYPE_IPV4 << 16 | PARSE_PLAIN_VERSION << 8) &&
	       (fragment & (IPV4_FRAGMENT_MASK << 16 | 0xff)) == IPPROTO_NUM_TCP &&
	       !(p[ETH_SRC] & 1) && !(tcp[TCP_FLAGS] & TCP_SYN) && header >= TCP_HEADER_BYTES &&
	       total >= IPV4_HEADER_BYTES + header && frame->wire_len >= ETH_HEADER_BYTES + total;
}

/* All of the above at once for a plain frame. */
void parse_plain(const struct frame *frame, struct packet *packet);

/* The same of IPv6, without extension headers: where its layer 4 begins, and if a frame is that. */
enum { PARSE_PLAIN_L4_IPV6 = 54 };

static inline bool parse_is_plain_ipv6(const struct frame *frame)
{
	const uint8_t *p = frame->data, *ip = p + PARSE_PLAIN_L3, *tcp = p + PARSE_PLAIN_L4_IPV6;
	uint32_t version, length, header;

	if (frame->len < PARSE_PLAIN_L4_IPV6 + TCP_HEADER_BYTES)
		return false;
	version = be32_get(be32_load(p + ETH_TYPE)) >> 12; /* with the EtherType */
	length = be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	header = (tcp[TCP_DATA_OFFSET] >> 4) * 4u;
	return version == (ETHERTYPE_IPV6 << 4 | 6) && ip[IPV6_NEXT_HEADER] == IPPROTO_NUM_TCP &&
	       !(p[ETH_SRC] & 1) && !(tcp[TCP_FLAGS] & TCP_SYN) && header >= TCP_HEADER_BYTES &&
	       length >= header && frame->wire_len >= PARSE_PLAIN_L4_IPV6 + length;
}

/* What parse_plain() does, for such a frame; the names in the tuple are the caller's to fill in. */
void parse_plain_ipv6(const struct frame *frame, struct packet *packet);

/* Sets *ret to who sent a plain frame. Written by words, and in its place, as by tuple_of(): a
 * processor that reads as a word what was written by bytes has to wait for it. */
static inline void parse_plain_hop(const struct frame *frame, struct hop *ret)
{
	const uint64_t mac_mask = 0xffffffffffff; /* behind it: no tags */
	const uint64_t head = word64_load(frame->data + ETH_SRC) & mac_mask;
	const uint32_t tail = (frame->side & 1u) << 24;

	memcpy((uint8_t *)ret + sizeof(*ret) - sizeof(tail), &tail, sizeof(tail));
	memcpy(ret, &head, sizeof(head));
}

/* What the TCP header of a segment of len bytes with these flags says about sequence numbers; see
 * struct packet. */
static inline void parse_segment(const uint8_t *tcp, uint32_t len, uint8_t flags,
                                 struct packet *packet)
{
	packet->tcp_flags = flags;
	packet->window = be16_get(be16_load(tcp + TCP_WINDOW));
	packet->seq = be32_get(be32_load(tcp + TCP_SEQ));
	packet->ack = be32_get(be32_load(tcp + TCP_ACK_NUMBER));
	packet->seq_len =
	        len - (tcp[TCP_DATA_OFFSET] >> 4) * 4u + !!(flags & TCP_SYN) + !!(flags & TCP_FIN);
}

/*
 * The sum over the pseudo header of a packet checked by parse_ip() (RFC 9293, 3.1; RFC 8200, 8.1).
 */
csum_acc parse_pseudo_sum(const struct packet *packet);

/* If the header checksum of a packet checked by parse_ip() holds; IPv6 has none. */
bool parse_ip_checksum_ok(const struct frame *frame, const struct packet *packet);

/*
 * If layer 4 is all there and its checksum holds; a partial one (FRAME_CSUM_PARTIAL) holds. For
 * TCP and ICMPv6 with their pseudo header, for ICMP without.
 */
bool parse_l4_checksum_ok(const struct frame *frame, const struct packet *packet);

/*
 * If the checksums hold, as far as can be seen: not of a fragment, nor of what a capture has cut.
 */
bool parse_is_intact(const struct frame *frame, const struct packet *packet);

#endif
