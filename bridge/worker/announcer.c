/*
 * Rounds of announcements.
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
	if (sides == ANNOUNCER_BOTH) /* the round that is underway begins anew as well */
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
	announcer->side = NSIDES;
	announcer->walk = (struct walk){0};
	announcer->next.ns = now.ns + (announcer->left[OUTSIDE] || announcer->left[INSIDE]
	                                       ? ANNOUNCER_WAIT_NS
	                                       : ANNOUNCER_REFRESH_NS);
}

/* If the address that the walk has come to is to be announced on that side. */
static bool is_one(const struct announcer *announcer, const struct rules *rules, unsigned side)
{
	return announcer->going >> side & 1 && way_is_ours(rules, announcer->ip, (enum side)side) &&
	       (name_is_ipv6(announcer->ip) || !announcer->joins);
}

/* The next announcement of this round: of an address first outside, then inside. False if the round
 * is over, or so many of them were looked at that it is to go on a little later. */
static bool next_of_round(struct announcer *announcer, const struct addresses *addresses,
                          enum side *ret_side, be32 *ret_address, uint16_t *ret_vlan)
{
	unsigned budget = ANNOUNCER_LOOKS, side;

	while (announcer->side < NSIDES ||
	       walk_next(&announcer->walk, addresses, &budget, &announcer->ip, &announcer->vlan)) {
		announcer->side %= NSIDES;
		side = announcer->side++;
		if (!is_one(announcer, addresses->rules, side))
			continue;
		*ret_side = (enum side)side;
		*ret_address = announcer->ip;
		*ret_vlan = announcer->vlan;
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
	if (next_of_round(announcer, addresses, ret_side, ret_address, ret_vlan))
		return true;
	if (walk_is_over(&announcer->walk, addresses))
		announcer->going = 0;
	return false;
}
