/*
 * Frames of either version of IP, for the hosts of the oracle.
 */
#ifndef ORACLE_BUILD_H
#define ORACLE_BUILD_H

#include "hosts.h"

struct letter {
	struct hop from; /* its side is where the frame comes in */
	struct mac to;
	struct addr src, dst;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	int wscale;       /* of a SYN; -1: no option */
	uint32_t payload; /* bytes */
	uint32_t damage;  /* of the TCP checksum, or 0 */
};

/* TCP; with IP options, padding behind or a partial checksum now and then. */
void build_tcp(struct made *ret, const struct letter *letter);

/* Any protocol, with its payload at random but for what its first bytes say. */
void build_ip(struct made *ret, const struct letter *letter, uint8_t protocol, const uint8_t *first,
              uint32_t nfirst, uint32_t bytes);

/* An ICMP error of this type and code, about the packet, TCP, of which it quotes so many bytes. */
void build_error(struct made *ret, const struct letter *letter, uint8_t type, uint8_t code,
                 const struct letter *about, uint32_t quoted);

void build_arp(struct made *ret, const struct letter *letter, uint16_t oper);

/* A neighbour solicitation for target, or an advertisement of it. */
void build_nd(struct made *ret, const struct letter *letter, const struct addr *target,
              bool solicitation);

/* Anything at all. */
void build_raw(struct made *ret, const struct letter *letter, uint16_t ethertype, uint32_t bytes);

/* Takes the frame for the one that is sent. */
void build_done(struct made *made);

#endif
