/*
 * Packets for the fuzzers, built and read without the code under test.
 *
 * Addresses are 10.0.0.N or 2001:db8::N and go by N.
 */
#ifndef FUZZ_PACKETS_H
#define FUZZ_PACKETS_H

#include "../../lb/frame.h"

enum { PACKETS_BYTES = 512, PACKETS_PAYLOAD_MAX = 128 };
enum { PACKETS_FIN = 1, PACKETS_SYN = 2, PACKETS_RST = 4, PACKETS_ACK = 16 };

/* A TCP packet; what is 0 isn't there. */
struct shape {
	bool ipv6;
	bool partial;  /* the TCP checksum is the pseudo header's sum */
	bool wrong;    /* the TCP checksum is */
	bool options;  /* IPv4 options, or IPv6 extension headers; and a TCP window scale */
	uint8_t ntags; /* VLAN tags */
	uint8_t side;  /* enum side it comes in by */
	uint8_t src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint8_t payload; /* bytes, at most PACKETS_PAYLOAD_MAX */
	bool fragment;   /* only this part of what follows the IP header */
	bool more;
	uint8_t id;
	uint8_t offset; /* in units of 8 bytes */
	uint8_t len;
};

be32 packets_ip4(uint8_t last);
struct ip6 packets_ip6(uint8_t last);

/* Write a frame of at most PACKETS_BYTES bytes, and return its length. */
uint32_t packets_tcp(uint8_t *frame, const struct shape *shape);
/* From shape's src to its dst, an error of that type, or ICMPv6 if so, that quotes so many
 * of the other packet's first bytes. */
uint32_t packets_icmp_error(uint8_t *frame, const struct shape *shape, uint8_t type,
                            const struct shape *quoted, uint32_t bytes);
uint32_t packets_echo(uint8_t *frame, const struct shape *shape);
/*
 * ARP of an operation, or for IPv6 neighbour discovery of ICMP type 135 for operation 1, else 136.
 */
uint32_t packets_neighbour(uint8_t *frame, const struct shape *shape, uint8_t operation);

/* The shape of what the receiver of a whole TCP frame would answer: ends exchanged, the next
 * numbers; false if it is none. */
bool packets_reply(const uint8_t *frame, uint32_t len, struct shape *ret);

/* Where the parts of an IP packet stand in a frame; false if there is none behind at most two
 * tags. */
struct parts {
	uint32_t l3, l4, end; /* end: of what the frame holds of the packet */
	bool ipv6;
	bool later; /* a fragment, but not the first one */
	bool more;
	uint8_t protocol;
	uint32_t id;
};

bool packets_parts(const uint8_t *frame, uint32_t len, struct parts *ret);

/* The same of the packet that an ICMP error quotes: up to the error's end, whatever its own header
 * says. */
bool packets_quoted(const uint8_t *frame, const struct parts *error, struct parts *ret);

/* What the sums of the IPv4 header and of layer 4 (TCP, ICMP) are away from right, modulo 65535;
 * and sees to it that they are again, after a change elsewhere. */
struct packets_wrong {
	uint32_t ip, l4;
};

struct packets_wrong packets_wrong(const uint8_t *frame, const struct parts *parts);
void packets_fix(uint8_t *frame, const struct parts *parts, struct packets_wrong wrong);

void packets_put_ports(uint8_t *tcp, uint16_t sport, uint16_t dport);

/* Adds len bytes as big-endian words to a sum modulo 65535. */
uint32_t packets_sum(const uint8_t *p, uint32_t len, uint32_t sum);

#endif
