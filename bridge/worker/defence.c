/*
 * Few addresses are ever claimed by others at a time, so not all that there may be are remembered.
 * If more are, it is a flood: to answer each claim would double it.
 *
 * Who claims an address does so several times, mostly. Each claim is believed by all who hear it,
 * so after the last one ours must follow, if later.
 */
#include "defence.h"

static bool is_over(lb_time at, lb_time now)
{
	return now.ns - at.ns >= DEFENCE_S * LB_NS_PER_S;
}

static bool is_of(const struct defence *defence, unsigned i, be32 address, uint16_t vlan)
{
	return defence->last[i].used && be32_eq(defence->last[i].address, address) &&
	       defence->last[i].vlan == vlan;
}

static void set_again(struct defence *defence, unsigned i, bool again)
{
	defence->owed += (unsigned)again - (unsigned)defence->last[i].again;
	defence->last[i].again = again;
}

bool defence_may(struct defence *defence, be32 address, uint16_t vlan, lb_time now)
{
	unsigned place = DEFENCE_PLACES;

	for (unsigned i = 0; i < DEFENCE_PLACES; i++) {
		const bool over = !defence->last[i].used || is_over(defence->last[i].at, now),
		           same = is_of(defence, i, address, vlan);

		if (same && !over) {
			set_again(defence, i, true);
			return false;
		}
		if (same || (over && !defence->last[i].again))
			place = i;
		if (same)
			break;
	}
	if (place == DEFENCE_PLACES)
		return false;
	set_again(defence, place, false);
	defence->last[place].address = address;
	defence->last[place].vlan = vlan;
	defence->last[place].used = true;
	defence->last[place].at = now;
	return true;
}

bool defence_next(struct defence *defence, lb_time now, be32 *ret_address, uint16_t *ret_vlan)
{
	for (unsigned i = 0; defence->owed && i < DEFENCE_PLACES; i++) {
		if (!defence->last[i].again || !is_over(defence->last[i].at, now))
			continue;
		set_again(defence, i, false);
		defence->last[i].at = now;
		*ret_address = defence->last[i].address;
		*ret_vlan = defence->last[i].vlan;
		return true;
	}
	return false;
}
