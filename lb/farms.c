/*
 * Putting the farms' state together.
 */
#include "farms.h"

#include "way.h"

static void lay_out(struct farms *farms, struct arena *arena, const struct rules *rules,
                    const struct share *share, const struct hash_key *key, lb_time now)
{
	uint32_t nqueues;

	farms->rules = rules;
	farms->share = *share;
	addresses_lay_out(&farms->addresses, arena, rules);
	services_lay_out(&farms->services, arena, rules);
	health_lay_out(&farms->health, arena, rules, now);
	observe_lay_out(&farms->observe, arena, rules);
	sched_lay_out(&farms->sched, arena, rules, &farms->share, &farms->health);
	snat_lay_out(&farms->snat, arena, rules, &farms->share, key);
	kept_lay_out(&farms->kept, arena, rules);
	farms->times = arena_take_zeroed(arena, rules->nservers, sizeof(*farms->times));
	farms->sums = arena_take_zeroed(arena, rules->nservers, sizeof(*farms->sums));
	farms->sides = arena_take(arena, rules->nservers, sizeof(*farms->sides));
	if (farms->sides)
		memset(farms->sides, WAY_SIDES, rules->nservers * sizeof(*farms->sides));
	farms->macs = arena_take_zeroed(arena, rules->nservers, sizeof(*farms->macs));
	nqueues = farms_opening(farms, rules->nservers);
	farms->queues = arena_take(arena, nqueues, sizeof(*farms->queues));
	if (farms->queues)
		queues_begin(farms->queues, nqueues);
}

size_t farms_size(const struct rules *rules)
{
	static const struct hash_key no_key;
	struct arena arena = {0};
	struct farms farms;

	arena_take(&arena, 1, sizeof(farms));
	lay_out(&farms, &arena, rules, &share_whole, &no_key, (lb_time){0});
	return arena.used;
}

struct farms *farms_init(void *mem, const struct rules *rules, const struct share *share,
                         const struct hash_key *key, lb_time now)
{
	struct arena arena = {.base = mem};
	struct farms *farms = arena_take(&arena, 1, sizeof(*farms));

	lay_out(farms, &arena, rules, share, key, now);
	return farms;
}

bool farms_is_up(const struct farms *farms, const struct address *address)
{
	struct address_user *users = farms->addresses.users, *first = &users[address->user];

	if (first->changes == farms->health.changes)
		return first->is_up;
	first->changes = farms->health.changes;
	first->is_up = false;
	for (uint32_t u = address->user; u != ADDRESS_NO_USER && !first->is_up; u = users[u].next)
		first->is_up = sched_is_up(&farms->sched, users[u].farm);
	return first->is_up;
}

bool farms_may_answer(const struct farms *farms, unsigned server, be32 peer, const struct hop *from)
{
	const enum side side = (enum side)from->side;

	if (rules_has_stack(farms->rules))
		return way_may_answer(farms->rules, server, peer, side);
	return farms->sides[server] >> side & 1 &&
	       vlan_matches(rules_server_vlan(farms->rules, server), hop_vlan(from));
}

bool farms_is_elsewhere(const struct farms *farms, unsigned server, be32 peer,
                        const struct mac *mac)
{
	const struct mac *found = &farms->macs[server];

	return mac_is_host(found) && !mac_eq(found, mac) &&
	       way_is_direct(farms->rules, server, peer);
}
