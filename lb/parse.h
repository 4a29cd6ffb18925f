/*
 * What a frame says, read with bounds checks.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "frame.h"
#include "tuple.h"

enum packet_kind {
	PACKET_OTHER, /* nothing that can be addressed to us */
	PACKET_ARP,   /* ARP for Ethernet and IPv4 */
	PACKET_IPV4,  /* an IPv4 header's fixed part, not yet checked */
};

enum { PACKET_NO_WSCALE = 15 };

struct packet {
	uint8_t kind;          /* enum packet_kind */
	uint8_t protocol;      /* IPv4: parse_ipv4() */
	uint8_t tcp_flags;     /* TCP_FIN ... */
	bool is_fragment;      /* IPv4: MF is set or the offset isn't 0 */
	uint8_t arp_oper;      /* ARP: 1 request, 2 reply, 0 anything else */
	uint16_t l3, l4;       /* offsets of the layer 3 and 4 headers in the frame */
	uint16_t l4_len;       /* layer 4: header and payload, bytes, as IPv4's total length says */
	struct hop from;       /* who sent the frame, by its Ethernet header: for replies */
	struct mac arp_sender; /* ARP: who sent it, by its own word (RFC 826's ar$sha) */
	struct tuple
	        tuple; /* IPv4: addresses; TCP: and ports. ARP: src and dst are sender and target */
	uint16_t window;   /* TCP: as it stands there, host order */
	uint8_t wscale;    /* TCP, of a SYN: its window scale option, or PACKET_NO_WSCALE */
	uint32_t seq, ack; /* TCP, host order */
	uint32_t seq_len;  /* TCP: sequence numbers that it takes: payload, SYN, FIN */
};

/*
 * Reads layer 2 and as much of layer 3 as says to whom the packet goes: ret->kind, from, l3, and
 * the addresses. Anything that isn't a whole ARP packet or IPv4 header is PACKET_OTHER.
 */
void parse_frame(const struct frame *frame, struct packet *ret);

/*
 * Checks the IPv4 header that parse_frame() found (RFC 791, RFC 1122 3.2.1) and fills protocol, l4,
 * l4_len and is_fragment. False if it can't be an IPv4 packet: version, header or total length. The
 * header checksum isn't looked at: updated incrementally, a wrong one stays wrong.
 */
bool parse_ipv4(const struct frame *frame, struct packet *packet);

/* Checks the TCP header (RFC 9293, 3.1) behind a checked IPv4 header and fills in what it says. */
bool parse_tcp(const struct frame *frame, struct packet *packet);

/*
 * If layer 4 is all there and its checksum holds; a partial one (FRAME_CSUM_PARTIAL) holds. For
 * TCP with its pseudo header, for ICMP without.
 */
bool parse_l4_checksum_ok(const struct frame *frame, const struct packet *packet);

#endif
