/*
 * The layouts of the frames that tmbridge makes itself.
 */
#ifndef BRIDGE_TEMPLATES_H
#define BRIDGE_TEMPLATES_H

#include "../../lb/wire.h"

#include <stdint.h>

enum { TEMPLATES_TTL = 64 }; /* RFC 1700's recommended default */

/* A packet from layer 3 upwards. */
struct template
{
	uint8_t bytes[IPV6_HEADER_BYTES + ND_BYTES + ND_OPTION_BYTES];
	uint32_t len;
};

struct templates {
	struct template arp, tcp, echo, nd, tcp6, echo6;
};

/* Builds them. Returns 0, or a negative errno with the reason logged. */
int templates_make(struct templates *ret);

#endif
