/*
 * Writing Ethernet headers.
 */
#ifndef BRIDGE_L2_H
#define BRIDGE_L2_H

#include "../../lb/frame.h"

/* The bytes of an Ethernet header to hop, its tags included. */
static inline uint32_t l2_bytes(const struct hop *hop)
{
	return 14u + FRAME_TAG_BYTES * hop->ntags;
}

/* Writes an Ethernet header to hop from src at p, which has room for l2_bytes(hop). */
void l2_write(uint8_t *p, const struct hop *hop, const struct mac *src, uint16_t ethertype);

/*
 * Gives frame, which holds an IPv4 packet, an Ethernet header to hop instead of its own. The tags
 * become hop's; if these are more than before, the headroom shrinks.
 */
void l2_redirect(struct frame *frame, const struct hop *hop, const struct mac *src);

/*
 * Puts back the VLAN tag that the kernel took out of frame, which has headroom for one. status, tci
 * and tpid are those of struct tpacket_auxdata or tpacket2_hdr, in host order.
 */
void l2_restore_tag(struct frame *frame, uint32_t status, uint16_t tci, uint16_t tpid);

#endif
