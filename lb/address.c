/*
 * The addresses that concern us, as a small open-addressed table.
 *
 * Each IPv4 and ARP frame is looked up here, those of the wire included, so the table is at most a
 * quarter full: mostly one cache line for an address that isn't in it. Only rules fill it, hence no
 * key: nobody outside can make it collide.
 */
#include "address.h"

static uint32_t slot_of(const struct addresses *addresses, be32 ip)
{
	return (be32_get(ip) * 0x9e3779b1u) >> 7 & addresses->mask; /* Fibonacci hashing */
}

static struct address *find(const struct addresses *addresses, be32 ip)
{
	uint32_t i = slot_of(addresses, ip);

	while (addresses->places[i].kinds && !be32_eq(addresses->places[i].ip, ip))
		i = (i + 1) & addresses->mask;
	return &addresses->places[i];
}

static void add(struct addresses *addresses, be32 ip, uint8_t kinds, unsigned farm)
{
	struct address *place = find(addresses, ip);

	if (!place->kinds || kinds == ADDRESS_VIP)
		place->farm = (uint16_t)farm;
	place->ip = ip;
	place->kinds |= kinds;
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

void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules)
{
	uint32_t places = 64;

	while (places < 4 * count(rules))
		places *= 2;
	*addresses = (struct addresses){.mask = places - 1};
	addresses->places = arena_take(arena, places, sizeof(*addresses->places));
	if (!addresses->places)
		return;
	memset(addresses->places, 0, places * sizeof(*addresses->places));
	fill(addresses, rules);
}

const struct address *addresses_find(const struct addresses *addresses, be32 ip)
{
	return find(addresses, ip);
}
