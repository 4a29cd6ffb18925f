/*
 * Services: which farm serves a port of a VIP. Several farms may have one VIP, with other ports.
 */
#ifndef LB_SERVICES_H
#define LB_SERVICES_H

#include "arena.h"
#include "rules.h"

/* Ports of a VIP that follow each other and are one farm's. */
struct service_range {
	uint16_t first, last; /* both included, in host order */
	uint16_t farm;
	uint16_t service; /* of first: its index in rules_farm.ports */
};

/* The ranges of a VIP, ascending. */
struct service_vip {
	uint32_t range, n;
	bool is_shared; /* by several farms */
};

struct services {
	struct service_range *ranges;
	struct service_vip *vips; /* by farm: that of its VIP */
};

/* Takes the tables from arena and, unless that only measures, fills them from rules. */
void services_lay_out(struct services *services, struct arena *arena, const struct rules *rules);

/*
 * The farm that serves port of the VIP of farm, which may be another one, and the service: an index
 * of that one's ports. False if none does. By the logarithm of how many ranges the VIP has.
 */
bool services_find(const struct services *services, unsigned farm, be16 port, unsigned *ret_farm,
                   unsigned *ret_service);

#endif
