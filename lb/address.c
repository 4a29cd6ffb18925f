/*
 * The addresses that concern us, as small open-addressed tables.
 *
 * Each IPv4, ARP and, if there are any IPv6 farms, IPv6 frame is looked up here, those of the wire
 * included, so the tables are at most a quarter full: mostly one cache line for an address that
 * isn't in it. Only rules fill them, hence no key: nobody outside can make them collide.
 */
#include "address.h"

static uint32_t name_slot_of(const struct addresses *addresses, const struct ip6 *ip)
{
	uint64_t high = word64_load(ip->b), low = word64_load(ip->b + sizeof(high));

	return (uint32_t)((high ^ low * 3) * 0x9e3779b97f4a7c15ull >> 40) & addresses->names_mask;
}

/* The place in names of the address, or the empty one where it would be. */
static uint32_t *find_name(const struct addresses *addresses, const struct ip6 *ip)
{
	uint32_t i = name_slot_of(addresses, ip);

	while (addresses->names[i] &&
	       !ip6_eq(&addresses->rules->names[addresses->names[i] - 1], ip))
		i = (i + 1) & addresses->names_mask;
	return &addresses->names[i];
}

static void add(struct addresses *addresses, be32 ip, uint8_t kinds, unsigned farm)
{
	struct address *place = name_is_ipv6(ip) ? &addresses->named[name_index(ip)]
	                                         : addresses_place(addresses, ip);

	if (!place->kinds || kinds == ADDRESS_VIP)
		place->farm = (uint16_t)farm;
	place->ip = ip;
	place->kinds |= kinds;
	addresses->any_ipv6 |= name_is_ipv6(ip);
}

static uint32_t count(const struct rules *rules)
{
	uint32_t n = rules->nservers + rules->nfarms;

	for (unsigned f = 0; f < rules->nfarms; f++)
		n += rules->farms[f].nsnat;
	return n;
}

static void fill(struct addresses *addresses, const struct rules *rules)
{
	for (uint32_t i = 0; i < rules->nnames; i++)
		*find_name(addresses, &rules->names[i]) = i + 1;
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];

		if (farm->gone)
			continue;
		add(addresses, farm->vip, ADDRESS_VIP, f);
		for (unsigned i = 0; i < farm->nsnat; i++)
			add(addresses, farm->snat[i], ADDRESS_SNAT, f);
	}
	for (unsigned s = 0; s < rules->nservers; s++) {
		unsigned f = rules->servers[s].farm;
		bool routed = !rules->farms[f].gone && !rules->farms[f].nsnat;

		add(addresses, rules->servers[s].address,
		    routed ? ADDRESS_SERVER | ADDRESS_NO_SNAT : ADDRESS_SERVER, f);
		addresses->any_no_snat |= routed;
	}
}

/* Places for a table of n: a power of two. */
static uint32_t places_for(uint32_t n)
{
	uint32_t places = 64;

	while (places < 4 * n)
		places *= 2;
	return places;
}

void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules)
{
	uint32_t places = places_for(count(rules)), names = places_for(rules->nnames);

	*addresses =
	        (struct addresses){.mask = places - 1, .names_mask = names - 1, .rules = rules};
	addresses->places = arena_take(arena, places, sizeof(*addresses->places));
	addresses->names = arena_take(arena, names, sizeof(*addresses->names));
	addresses->named = arena_take(arena, rules->nnames, sizeof(*addresses->named));
	if (!addresses->places)
		return;
	memset(addresses->places, 0, places * sizeof(*addresses->places));
	memset(addresses->names, 0, names * sizeof(*addresses->names));
	memset(addresses->named, 0, rules->nnames * sizeof(*addresses->named));
	fill(addresses, rules);
}

const struct address *addresses_find_name(const struct addresses *addresses, be32 name)
{
	static const struct address nobody;

	return name_index(name) < addresses->rules->nnames ? &addresses->named[name_index(name)]
	                                                   : &nobody;
}

bool addresses_name(const struct addresses *addresses, const struct ip6 *ip, be32 *ret)
{
	uint32_t index = *find_name(addresses, ip);

	if (index)
		*ret = name_of(index - 1);
	return index;
}
