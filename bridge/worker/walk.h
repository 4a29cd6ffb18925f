/*
 * All our addresses, one after the other.
 */
#ifndef BRIDGE_WALK_H
#define BRIDGE_WALK_H

#include "../../lb/address.h"

/* All zeros: at the beginning. */
struct walk {
	unsigned farm, address;
};

/*
 * Goes on to the next VIP or SNAT address, and sets its VLAN (rules_farm.vlan); one that several
 * farms share comes once. Looks at *budget addresses at most, and subtracts those that it has
 * looked at. False if these were none of ours: then the next call goes on from there, unless
 * walk_is_over(). If addresses are others than at the last call, some come twice or not at all.
 */
bool walk_next(struct walk *walk, const struct addresses *addresses, unsigned *budget, be32 *ret_ip,
               uint16_t *ret_vlan);

static inline bool walk_is_over(const struct walk *walk, const struct addresses *addresses)
{
	return walk->farm >= addresses->rules->nfarms;
}

#endif
