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
 * The next VIP or SNAT address, each once whoever shares it, and the VLAN that it is in
 * (rules_farm.vlan). Looks at budget addresses at most, and takes from it those that it has looked
 * at. False if these were none of ours: then it goes on from there, or has ended if walk_is_over().
 * The addresses may be others than before: then some come twice, or not at all.
 */
bool walk_next(struct walk *walk, const struct addresses *addresses, unsigned *budget, be32 *ret_ip,
               uint16_t *ret_vlan);

static inline bool walk_is_over(const struct walk *walk, const struct addresses *addresses)
{
	return walk->farm >= addresses->rules->nfarms;
}

#endif
