/*
 * A farm's VIP, and then its SNAT addresses; less those that a farm before it has as well.
 */
#include "walk.h"

static bool look(struct walk *walk, const struct addresses *addresses, be32 *ret_ip,
                 uint16_t *ret_vlan)
{
	const struct rules_farm *farm = &addresses->rules->farms[walk->farm];
	const unsigned f = walk->farm, i = walk->address++;

	if (farm->gone || i > rules_all_snat(farm)) {
		walk->farm++;
		walk->address = 0;
		return false;
	}
	*ret_ip = i ? farm->snat[i - 1] : farm->vip;
	*ret_vlan = farm->vlan;
	return (!i || !be32_eq(*ret_ip, farm->vip)) && addresses_is_first(addresses, f, *ret_ip);
}

bool walk_next(struct walk *walk, const struct addresses *addresses, unsigned *budget, be32 *ret_ip,
               uint16_t *ret_vlan)
{
	for (; *budget && !walk_is_over(walk, addresses); --*budget)
		if (look(walk, addresses, ret_ip, ret_vlan)) {
			--*budget;
			return true;
		}
	return false;
}
