/*
 * Few addresses are ever claimed by others at a time, so not all that there may be are remembered.
 * If more are, it is a flood: to answer each claim would double it.
 */
#include "defence.h"

bool defence_may(struct defence *defence, be32 address, uint16_t vlan, lb_time now)
{
	unsigned place = DEFENCE_PLACES;

	for (unsigned i = 0; i < DEFENCE_PLACES; i++) {
		bool is_over = !defence->last[i].used ||
		               now.ns - defence->last[i].at.ns >= DEFENCE_S * LB_NS_PER_S;

		if (is_over)
			place = i;
		else if (be32_eq(defence->last[i].address, address) &&
		         defence->last[i].vlan == vlan)
			return false;
	}
	if (place == DEFENCE_PLACES)
		return false;
	defence->last[place].address = address;
	defence->last[place].vlan = vlan;
	defence->last[place].used = true;
	defence->last[place].at = now;
	return true;
}
