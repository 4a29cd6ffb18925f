/*
 * Frames for tests, built and checked without the code under test.
 */
#ifndef UNIT_FRAMES_H
#define UNIT_FRAMES_H

#include "../../lb/frame.h"

enum { FRAMES_TAGS = 3, FRAMES_BYTES = 2048 };

/* What to build. All that is 0 is left out, or 0 in the frame. */
struct spec {
	struct mac dst, src;
	enum side side; /* by which it comes in */
	unsigned ntags;
	uint16_t tpid[FRAMES_TAGS], tci[FRAMES_TAGS];
	be32 from, to;      /* IPv4 or ARP */
	uint8_t ip_options; /* bytes, a multiple of 4 */
	uint8_t protocol;   /* frames_ipv4() */
	uint16_t id;        /* 0: 0x1234 */
	uint16_t fragment;  /* flags and offset */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags;
	uint8_t tcp_options; /* bytes, a multiple of 4 */
	uint16_t payload;    /* bytes */
	bool partial;        /* the TCP checksum is the pseudo header's sum only */
	uint8_t icmp_type, icmp_code;
	uint16_t arp_oper;
	struct mac arp_sender; /* zeros: src */
};

/* A frame with its bytes. Not to be copied: frame points into bytes. */
struct built {
	struct frame frame;
	uint32_t l3, l4; /* offsets in frame.data */
	uint8_t bytes[FRAME_HEADROOM + FRAMES_BYTES];
};

void frames_tcp(struct built *built, const struct spec *spec);
void frames_icmp(struct built *built, const struct spec *spec);
/* An error that quotes len bytes of the packet, from its IPv4 header on. */
void frames_icmp_error(struct built *built, const struct spec *spec, const struct built *quoted,
                       uint32_t len);
/* A fragment of the IPv4 packet whole: len bytes of what follows the header, from offset on. */
void frames_fragment(struct built *built, const struct built *whole, uint32_t offset, uint32_t len);
void frames_arp(struct built *built, const struct spec *spec);
/* Another protocol, or what a fragment holds: payload bytes behind the IPv4 header. */
void frames_ipv4(struct built *built, const struct spec *spec);
/* An EtherType and payload bytes of anything. */
void frames_ether(struct built *built, const struct spec *spec, uint16_t ethertype);

/* Computes the IPv4 and TCP checksums anew, after a field was changed on purpose. */
void frames_fix(struct built *built);

/* A copy that is worked on apart from the original. */
void frames_copy(struct built *to, const struct built *from);

/* 0 and -0 of one's complement are the same; the checksum that the bytes ought to have, the field
 * being 0. */
uint16_t frames_sum(const uint8_t *p, uint32_t len, uint32_t sum);

/* By how much the checksum is wrong, 0 being right, as one's complement difference. */
uint16_t frames_ip_error(const struct built *built);
uint16_t frames_tcp_error(const struct built *built);
uint16_t frames_icmp_wrong(const struct built *built);

/* Big-endian fields. */
uint16_t frames_get16(const uint8_t *p);
uint32_t frames_get32(const uint8_t *p);
void frames_put16(uint8_t *p, uint16_t v);
void frames_put32(uint8_t *p, uint32_t v);

static inline be32 ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (be32){{a, b, c, d}};
}

/* Locally administered MAC addresses that differ in the last byte. */
static inline struct mac mac_of(uint8_t last)
{
	return (struct mac){{2, 0, 0, 0, 0, last}};
}

#endif
