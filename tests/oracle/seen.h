/*
 * A frame as anybody would read it with the RFCs at hand, and as it must leave.
 *
 * Nothing here uses lb/parse.c, lb/rewrite.c or lb/csum.h: offsets are written out, and checksums
 * are added up anew.
 */
#ifndef ORACLE_SEEN_H
#define ORACLE_SEEN_H

#include "../../lb/rules.h"
#include "../../lb/frame.h"

/* An address of either family; IPv4 in the first four bytes, zeros behind. */
struct addr {
	uint8_t b[16];
	bool v6;
};

enum seen_kind {
	SEEN_OTHER, /* nothing that can be addressed to us */
	SEEN_ARP,
	SEEN_NO_IP, /* by its EtherType it is, by its version it isn't */
	SEEN_BAD_IP,
	SEEN_BAD_TCP,
	SEEN_TCP,
	SEEN_ECHO, /* a request */
	SEEN_ND,   /* a solicitation or advertisement that a host must believe */
	SEEN_ICMP, /* any other */
	SEEN_PROTOCOL,
};

struct seen {
	enum seen_kind kind;
	struct mac to;
	struct hop from;
	struct addr src, dst, target; /* ARP: src and dst are of sender and target */
	struct mac arp_sender;        /* or ND's */
	uint16_t arp_oper;
	bool nd_solicitation;
	bool nd_has_mac;  /* by an option */
	bool nd_override; /* the flag of an advertisement */
	uint16_t sport, dport, window;
	uint8_t flags;
	int wscale; /* of a SYN, or -1 */
	uint32_t seq, ack;
	uint32_t len; /* sequence numbers that the segment takes */
	uint32_t l3, l4, l4_len, frame_len;
	bool partial;
	uint16_t ip_damage, l4_damage; /* by how much the checksums are wrong, 0 being right */
};

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct addr addr_of4(be32 ip);
struct addr addr_of6(const struct ip6 *ip);
struct addr addr_of_rules(const struct rules *rules, be32 address);
struct addr addr_of_vip(const struct rules *rules, unsigned farm);
struct addr addr_of_server(const struct rules *rules, unsigned server);
bool addr_eq(const struct addr *a, const struct addr *b);

bool same_hop(const struct hop *a, const struct hop *b);

/* If a frame that comes from there is in the VLAN: of one 802.1Q tag with that ID; of 0, without a
 * tag or with one of ID 0. */
bool is_in_vlan(const struct hop *from, unsigned vlan);

void seen_read(const struct frame *frame, struct seen *ret);

/* If it can be the address of a network card that somebody has. */
static inline bool is_somebodys(const struct mac *mac)
{
	return !(mac->b[0] & 1) &&
	       (mac->b[0] | mac->b[1] | mac->b[2] | mac->b[3] | mac->b[4] | mac->b[5]);
}

/* What the TCP packet must be with these addresses and ports: as damaged as it was. */
void seen_rewrite(uint8_t *frame, const struct seen *seen, const struct addr *src, uint16_t sport,
                  const struct addr *dst, uint16_t dport);

/* What an ICMP error quotes, a packet of TCP; ip and tcp are where its headers are in the frame. */
struct quoted {
	struct addr src, dst;
	uint16_t sport, dport;
	uint32_t seq, ip, tcp;
	bool has_checksum; /* so much of it is quoted */
};

/* False if seen, which is ICMP, is no error about TCP. */
bool seen_read_quoted(const uint8_t *frame, const struct seen *seen, struct quoted *ret);

/* What the error must be with other addresses, and with others quoted: as damaged as it was. */
void seen_rewrite_error(uint8_t *frame, const struct seen *seen, const struct quoted *quoted,
                        const struct addr *src, const struct addr *dst, const struct quoted *to);

/* If two errors are alike, likewise. */
bool seen_same_error(const uint8_t *a, const uint8_t *b, uint32_t len, const struct seen *seen,
                     const struct quoted *quoted);

/* If two frames are alike, 0 and -0 being the same where seen says that checksums are. */
bool seen_same(const uint8_t *a, const uint8_t *b, uint32_t len, const struct seen *seen);

/* Of the packet's own protocol at its layer 4: the checksum made right. */
void seen_set_checksum(uint8_t *frame, const struct seen *seen);

#endif
