/*
 * Announcing our addresses.
 *
 * A round goes through all addresses; the next one follows ANNOUNCER_WAIT_NS after it has begun. A
 * side that is to be announced on while a round is underway has its first one afterwards.
 */
#include "announcer.h"

#define ANNOUNCER_WAIT_NS (2 * LB_NS_PER_S) /* RFC 5227's ANNOUNCE_INTERVAL */
/* RFC 3810, 9.4: whoever isn't heard of for 260 s, by default, doesn't listen any more. */
#define ANNOUNCER_REFRESH_NS (60 * LB_NS_PER_S)

static bool any_ip6(const struct rules *rules)
{
	for (unsigned f = 0; f < rules->nfarms; f++)
		if (name_is_ipv6(rules->farms[f].vip) && !rules->farms[f].gone)
			return true;
	return false;
}

void announcer_begin(struct announcer *announcer, const struct rules *rules, unsigned sides,
                     lb_time now)
{
	announcer->refreshes = any_ip6(rules);
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			announcer->left[side] = ANNOUNCER_TIMES;
	if (!sides)
		return;
	if (sides == ANNOUNCER_BOTH) /* also what is underway begins anew */
		announcer->going = 0;
	if (!announcer->going)
		announcer->next = now;
}

static bool is_done(const struct announcer *announcer)
{
	return !announcer->going && !announcer->left[OUTSIDE] && !announcer->left[INSIDE] &&
	       !announcer->refreshes;
}

lb_time announcer_due(const struct announcer *announcer)
{
	if (is_done(announcer))
		return (lb_time){UINT64_MAX};
	if (!announcer->going)
		return announcer->next;
	return pace_due(&announcer->pace, announcer->pace.window);
}

static void begin_round(struct announcer *announcer, lb_time now)
{
	announcer->going = 0;
	for (unsigned side = 0; side < NSIDES; side++) {
		if (!announcer->left[side])
			continue;
		announcer->left[side]--;
		announcer->going |= (uint8_t)(1u << side);
	}
	announcer->joins = !announcer->going;
	if (announcer->joins)
		announcer->going = ANNOUNCER_BOTH;
	announcer->side = 0;
	announcer->farm = announcer->address = 0;
	announcer->next.ns = now.ns + (announcer->left[OUTSIDE] || announcer->left[INSIDE]
	                                       ? ANNOUNCER_WAIT_NS
	                                       : ANNOUNCER_REFRESH_NS);
}

/* The addresses of a farm, each once: its VIP, and then its SNAT addresses. False if it isn't the
 * first farm to have this one. */
static bool farm_address(const struct addresses *addresses, unsigned f, unsigned i, be32 *ret)
{
	const struct rules_farm *farm = &addresses->rules->farms[f];

	*ret = i ? farm->snat[i - 1] : farm->vip;
	return (!i || !be32_eq(*ret, farm->vip)) && addresses_is_first(addresses, f, *ret);
}

/* Moves on to the following place. */
static void step(struct announcer *announcer)
{
	announcer->side ^= 1;
	announcer->address += !announcer->side;
}

/* The next announcement of this round; false if it is over. */
static bool next_of_round(struct announcer *announcer, const struct addresses *addresses,
                          enum side *ret_side, be32 *ret_address, uint16_t *ret_vlan)
{
	const struct rules *rules = addresses->rules;

	while (announcer->farm < rules->nfarms) {
		const struct rules_farm *farm = &rules->farms[announcer->farm];
		bool is_one;

		if (farm->gone || announcer->address > rules_all_snat(farm)) {
			announcer->farm++;
			announcer->address = announcer->side = 0;
			continue;
		}
		is_one =
		        farm_address(addresses, announcer->farm, announcer->address, ret_address) &&
		        announcer->going >> announcer->side & 1 &&
		        way_is_ours(rules, *ret_address, (enum side)announcer->side) &&
		        (name_is_ipv6(*ret_address) || !announcer->joins);
		*ret_side = (enum side)announcer->side;
		*ret_vlan = farm->vlan;
		step(announcer);
		if (is_one)
			return true;
	}
	return false;
}

bool announcer_next(struct announcer *announcer, const struct addresses *addresses, lb_time now,
                    enum side *ret_side, be32 *ret_address, uint16_t *ret_vlan)
{
	if (!announcer->going && (is_done(announcer) || now.ns < announcer->next.ns))
		return false;
	if (!announcer->going)
		begin_round(announcer, now);
	if (!pace_take(&announcer->pace, ANNOUNCER_PER_MS, now))
		return false;
	if (!next_of_round(announcer, addresses, ret_side, ret_address, ret_vlan)) {
		announcer->going = 0;
		return false;
	}
	return true;
}
