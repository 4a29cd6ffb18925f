/*
 * The addresses that concern us, as small open-addressed tables.
 *
 * Each IPv4, ARP and, if there are any IPv6 farms, IPv6 frame is looked up here, those of the wire
 * included, so the tables are at most a quarter full: mostly one cache line for an address that
 * isn't in it. Only rules fill them, hence no key: nobody outside can make them collide.
 */
#include "address.h"

#include "way.h"

/* The place in names of the address, or the empty one where it would be. */
static uint32_t *find_name(const struct addresses *addresses, const struct ip6 *ip)
{
	uint32_t i = address_name_start(addresses, ip);

	while (addresses->names[i] &&
	       !ip6_eq(&addresses->rules->names[addresses->names[i] - 1], ip))
		i = (i + 1) & addresses->names_mask;
	return &addresses->names[i];
}

static struct address_table *table_of(struct addresses *addresses, be32 ip)
{
	return name_is_ipv6(ip) ? &addresses->named : &addresses->ipv4;
}

/*
 * Adds what the address is in a VLAN, and returns its place. What it is in all of them is added
 * last, and so also to what it is in one.
 */
static struct address *add(struct addresses *addresses, be32 ip, uint16_t vlan, uint8_t kinds)
{
	struct address_table *table = table_of(addresses, ip);
	struct address *place;
	uint32_t i = address_start(table, ip);

	for (place = &table->places[i]; place->kinds; place = &table->places[i]) {
		if (be32_eq(place->ip, ip) && vlan_matches(vlan, place->vlan)) {
			place->kinds |= kinds;
			if (place->vlan == vlan)
				return place;
		}
		i = (i + 1) & table->mask;
	}
	*place = (struct address){.ip = ip, .vlan = vlan, .kinds = kinds, .user = ADDRESS_NO_USER};
	addresses->any_ipv6 |= name_is_ipv6(ip);
	return place;
}

/* What is in all VLANs has its first user: who has it in one only is followed by those. */
static void append_to_others(struct addresses *addresses, const struct address *any)
{
	struct address_table *table = table_of(addresses, any->ip);
	struct address *place;

	for (uint32_t i = address_start(table, any->ip); table->places[i].kinds;
	     i = (i + 1) & table->mask) {
		uint32_t *last;

		place = &table->places[i];
		if (place == any || !be32_eq(place->ip, any->ip))
			continue;
		for (last = &place->user; *last != ADDRESS_NO_USER;)
			last = &addresses->users[*last].next;
		*last = any->user;
	}
}

/* The first one stays the first. */
static void add_user(struct addresses *addresses, struct address *place, unsigned farm)
{
	const uint32_t n = addresses->nusers, first = place->user;
	const bool is_first = first == ADDRESS_NO_USER;

	if (!is_first && addresses->users[first].farm == farm)
		return;
	addresses->users[n] = (struct address_user){.changes = UINT64_MAX,
	                                            .next = is_first ? ADDRESS_NO_USER
	                                                             : addresses->users[first].next,
	                                            .farm = (uint16_t)farm};
	addresses->nusers++;
	if (is_first)
		place->user = n;
	else
		addresses->users[first].next = n;
	if (is_first && place->vlan == VLAN_ANY)
		append_to_others(addresses, place);
}

/* An address of ours, which the host may have itself. */
static void add_ours(struct addresses *addresses, be32 ip, uint16_t vlan, uint8_t kind,
                     unsigned farm)
{
	const bool is_hosts = way_is_hosts(addresses->rules, ip);

	add_user(addresses, add(addresses, ip, vlan, kind | (is_hosts ? ADDRESS_HOST : 0)), farm);
}

static void add_snat(struct addresses *addresses, const struct rules_farm *farm, unsigned f,
                     uint16_t vlan)
{
	for (unsigned i = 0; i < rules_all_snat(farm); i++)
		add_ours(addresses, farm->snat[i], vlan, ADDRESS_SNAT, f);
}

/* If the server's replies come in another VLAN than its farm's: one that the farm's servers before
 * it aren't in, as far as these stand together. */
static bool has_own_vlan(const struct rules *rules, unsigned server)
{
	const struct rules_farm *farm = &rules->farms[rules->servers[server].farm];
	const uint16_t vlan = rules_server_vlan(rules, server);

	return vlan != rules_farm_vlan(farm) &&
	       (server == farm->server || vlan != rules_server_vlan(rules, server - 1));
}

/* Adds what is in one VLAN only, or what is in all. */
static void fill(struct addresses *addresses, const struct rules *rules, bool in_any)
{
	for (unsigned f = 0; f < rules->nfarms; f++) {
		const struct rules_farm *farm = &rules->farms[f];
		const uint16_t vlan = rules_farm_vlan(farm);

		if (farm->gone || (vlan == VLAN_ANY) != in_any)
			continue;
		add_ours(addresses, farm->vip, vlan, ADDRESS_VIP, f);
		add_snat(addresses, farm, f, vlan);
	}
	for (unsigned s = 0; s < rules->nservers; s++) {
		const unsigned f = rules->servers[s].farm;
		const uint16_t vlan = rules_server_vlan(rules, s);
		const bool routed = !rules->farms[f].gone &&
		                    (!rules->farms[f].nsnat || rules->farms[f].keeps_off);

		if ((vlan == VLAN_ANY) != in_any)
			continue;
		add(addresses, rules->servers[s].address, vlan,
		    routed ? ADDRESS_SERVER | ADDRESS_NO_SNAT : ADDRESS_SERVER);
		addresses->any_no_snat |= routed;
		if (!be32_eq(way_next(rules, s), rules->servers[s].address))
			add(addresses, way_next(rules, s), vlan, ADDRESS_NEXT);
		if (!rules->farms[f].gone && has_own_vlan(rules, s))
			add_snat(addresses, &rules->farms[f], f, vlan);
	}
}

/* How many addresses fill() adds at most. */
static uint32_t count(const struct rules *rules)
{
	uint32_t n = rules->nservers * (rules_has_stack(rules) ? 2 : 1) + rules->nfarms;

	for (unsigned f = 0; f < rules->nfarms; f++)
		n += rules_all_snat(&rules->farms[f]);
	for (unsigned s = 0; s < rules->nservers; s++)
		if (has_own_vlan(rules, s))
			n += rules_all_snat(&rules->farms[rules->servers[s].farm]);
	return n;
}

/*
 * For so many names there is room at least: what IPv6 packets of the wire are addressed to is
 * looked for among them, and a place that is somebody else's costs a guess of the processor's.
 */
enum { NAMES_LEAST = 256 };

/* Places for a table of n: a power of two. */
static uint32_t places_for(uint32_t n)
{
	uint32_t places = 64;

	while (places < 4 * n)
		places *= 2;
	return places;
}

static void take_table(struct address_table *table, struct arena *arena, uint32_t places)
{
	table->mask = places - 1;
	table->places = arena_take_zeroed(arena, places, sizeof(*table->places));
}

void addresses_lay_out(struct addresses *addresses, struct arena *arena, const struct rules *rules)
{
	const uint32_t n = count(rules);
	const uint32_t names =
	        places_for(rules->nnames < NAMES_LEAST ? NAMES_LEAST : rules->nnames);

	*addresses = (struct addresses){.names_mask = names - 1, .rules = rules};
	take_table(&addresses->ipv4, arena, places_for(n));
	take_table(&addresses->named, arena, places_for(rules->nnames ? n : 0));
	addresses->names = arena_take(arena, names, sizeof(*addresses->names));
	addresses->users = arena_take(arena, n, sizeof(*addresses->users));
	addresses->untagged = arena_take(arena, rules->nnames + 1, sizeof(*addresses->untagged));
	addresses->numbered = arena_take(arena, rules->nnames + 1, sizeof(*addresses->numbered));
	local_lay_out(&addresses->local, arena, rules);
	if (!addresses->names)
		return;
	memset(addresses->names, 0, names * sizeof(*addresses->names));
	for (uint32_t i = 0; i < rules->nnames; i++)
		*find_name(addresses, &rules->names[i]) = i + 1;
	fill(addresses, rules, false);
	fill(addresses, rules, true);
	addresses->untagged[0] = 0;
	addresses->numbered[0] = (struct ip6){{0}};
	for (uint32_t i = 0; i < rules->nnames; i++) {
		addresses->untagged[i + 1] =
		        addresses_find_name(addresses, name_of(i), VLAN_NONE)->kinds;
		addresses->numbered[i + 1] = rules->names[i];
	}
}

uint32_t addresses_number(const struct addresses *addresses, const struct ip6 *ip)
{
	return *find_name(addresses, ip);
}

bool addresses_name(const struct addresses *addresses, const struct ip6 *ip, be32 *ret)
{
	const uint32_t number = addresses_number(addresses, ip);

	if (number)
		*ret = name_of_number(number);
	return number;
}

bool addresses_is_first(const struct addresses *addresses, unsigned farm, be32 ip)
{
	const uint16_t vlan = rules_farm_vlan(&addresses->rules->farms[farm]);
	const struct address *address = name_is_ipv6(ip) ? addresses_find_name(addresses, ip, vlan)
	                                                 : addresses_find(addresses, ip, vlan);

	return address->kinds & ADDRESS_OURS && addresses_farm(addresses, address) == farm;
}
