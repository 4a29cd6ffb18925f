/*
 * IPv6 frames for tests: those of frames.h, translated.
 */
#ifndef UNIT_FRAMES6_H
#define UNIT_FRAMES6_H

#include "frames.h"

enum { IP6_BYTES = 40 };

/* The same packet, TCP or an ICMP echo, in IPv6, its addresses being fixture_ip6() of what they
 * were. */
void frames6_of(struct built *ret, const struct built *from);

/* The IPv6 header alone, with the addresses of the IPv4 packet ip, before len bytes of protocol. */
void frames6_put_header(uint8_t *p, const uint8_t *ip, uint8_t protocol, uint32_t len);

/* Bytes behind the header, and from layer 4 on. */
uint32_t frames6_payload(const struct built *built);
uint32_t frames6_l4_len(const struct built *built);

/*
 * Of len bytes of protocol at p, with the pseudo header of the packet; of that alone if p is NULL.
 */
uint16_t frames6_sum(const struct built *built, uint8_t protocol, const uint8_t *p, uint32_t len);

/* Computes the checksum of TCP or ICMPv6 anew; and by how much that of TCP is wrong. */
void frames6_fix(struct built *built, uint8_t protocol);
uint16_t frames6_tcp_error(const struct built *built);

#endif
