/*
 * Which IPv4 addresses concern us: VIPs, SNAT addresses, servers.
 */
#ifndef LB_ADDRESS_H
#define LB_ADDRESS_H

#include "arena.h"
#include "rules.h"

enum {
	ADDRESS_VIP = 1 << 0,
	ADDRESS_SNAT = 1 << 1,
	ADDRESS_OURS = ADDRESS_VIP | ADDRESS_SNAT, /* we answer ARP for it */
	ADDRESS_SERVER = 1 << 2,
	ADDRESS_NO_SNAT =
	        1 << 3, /* a server of a farm with snat = off: packets from it may be flows' */
};

struct address {
	be32 ip;
	uint8_t kinds; /* ADDRESS_...; 0: an empty place of the table */
	uint16_t farm; /* of the VIP, else the first farm that has it for SNAT */
};

struct addresses {
	struct address *places; /* open addressing, a power of two */
	uint32_t mask;
	bool any_no_snat; /* there is an ADDRESS_NO_SNAT */
};

/* Takes the table from arena and, unless that only measures, fills it from rules. */
void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules);

/* Never NULL: an address that isn't known has no kinds. */
const struct address *addresses_find(const struct addresses *addresses, be32 ip);

#endif
