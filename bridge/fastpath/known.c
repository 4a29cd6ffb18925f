/*
 * The table of addresses.
 *
 * Open addressing; but a program can't walk on and on, so each address stands within
 * FASTPATH_PROBES places of its first one. The table is at most a quarter full, and where that is
 * not enough, another factor is.
 */
#include "known.h"

#include <errno.h>
#include <stdlib.h>

enum { PLACES_MIN = 4096, FACTORS = 64 };

/* The engine's own table of addresses, to take them from; its memory, to be freed, or NULL. */
static void *lay_out(const struct rules *rules, struct addresses *ret)
{
	struct arena arena = {0};

	addresses_lay_out(ret, &arena, rules);
	arena.base =
	        aligned_alloc(ARENA_ALIGN, arena.used + ARENA_ALIGN - arena.used % ARENA_ALIGN);
	arena.used = 0;
	if (arena.base)
		addresses_lay_out(ret, &arena, rules);
	return arena.base;
}

/* A walk over all addresses, those that are in one VLAN only first: so they are found before the
 * same ones in any. */
struct walk {
	const struct addresses *addresses;
	bool in_any;
	uint32_t next;
};

static const struct address *at(const struct addresses *addresses, uint32_t i)
{
	const uint32_t n4 = addresses->ipv4.mask + 1;

	return i < n4 ? &addresses->ipv4.places[i] : &addresses->named.places[i - n4];
}

static bool next_in(struct walk *walk, struct fastpath_address *ret)
{
	const struct addresses *addresses = walk->addresses;
	const uint32_t n = addresses->ipv4.mask + addresses->named.mask + 2;

	while (walk->next < n) {
		const struct address *address = at(addresses, walk->next++);

		if (!address->kinds || (address->vlan == VLAN_ANY) != walk->in_any)
			continue;
		*ret = (struct fastpath_address){
		        .key = name_is_ipv6(address->ip)
		                       ? fastpath_key6(rules_ip6(addresses->rules, address->ip))
		                       : fastpath_key4(address->ip),
		        .name = address->ip,
		        .vlan = address->vlan,
		        .kinds = address->kinds,
		};
		return true;
	}
	return false;
}

static bool next(struct walk *walk, struct fastpath_address *ret)
{
	if (next_in(walk, ret))
		return true;
	if (walk->in_any)
		return false;
	walk->in_any = true;
	walk->next = 0;
	return next_in(walk, ret);
}

static uint32_t count(const struct addresses *addresses)
{
	struct walk walk = {.addresses = addresses};
	struct fastpath_address unused;
	uint32_t n = 0;

	while (next(&walk, &unused))
		n++;
	return n;
}

uint32_t known_places(const struct rules *rules)
{
	struct addresses addresses;
	void *memory = lay_out(rules, &addresses);
	uint32_t places = PLACES_MIN, n;

	if (!memory)
		return 0;
	n = count(&addresses);
	while (places < 8 * n)
		places *= 2;
	free(memory);
	return places;
}

static bool put(const struct fastpath_table *table, struct fastpath_address *places,
                const struct fastpath_address *address)
{
	const uint32_t first = fastpath_place(table, &address->key);

	for (uint32_t n = 0; n < FASTPATH_PROBES; n++) {
		struct fastpath_address *place = &places[table->base + ((first + n) & table->mask)];

		if (place->kinds)
			continue;
		*place = *address;
		return true;
	}
	return false;
}

static bool put_all(const struct fastpath_table *table, struct fastpath_address *places,
                    const struct addresses *addresses)
{
	struct fastpath_address address;
	struct walk walk = {.addresses = addresses};
	bool ok = true;

	memset(&places[table->base], 0, (table->mask + 1) * sizeof(*places));
	while (ok && next(&walk, &address))
		ok = put(table, places, &address);
	return ok;
}

int known_prepare(struct fastpath_conf *conf, struct fastpath_address *places,
                  const struct rules *rules)
{
	const uint32_t other = !conf->table;
	struct fastpath_table *table = &conf->tables[other];
	struct addresses addresses;
	void *memory = lay_out(rules, &addresses);
	bool ok = false;

	if (!memory)
		return -ENOMEM;
	*table = (struct fastpath_table){.base = other * conf->table_places,
	                                 .mask = conf->table_places - 1,
	                                 .any_no_snat = addresses.any_no_snat,
	                                 .any_ipv6 = addresses.any_ipv6};
	if (count(&addresses) <= conf->table_places / 4)
		for (unsigned i = 1; !ok && i <= FACTORS; i++) {
			table->factor = 0x9e3779b97f4a7c15ull * (2 * i - 1); /* odd */
			ok = put_all(table, places, &addresses);
		}
	free(memory);
	return ok ? 0 : -E2BIG;
}

void known_use(struct fastpath_conf *conf)
{
	__atomic_store_n(&conf->table, !conf->table, __ATOMIC_RELEASE);
}

uint32_t known_kinds(const struct fastpath_conf *conf, const struct fastpath_address *places,
                     const struct fastpath_key *key, uint16_t vlan)
{
	const struct fastpath_table *table = &conf->tables[conf->table & 1];
	const uint32_t first = fastpath_place(table, key);

	for (uint32_t n = 0; n < FASTPATH_PROBES; n++) {
		const struct fastpath_address *place =
		        &places[table->base + ((first + n) & table->mask)];

		if (!place->kinds)
			return 0;
		if (fastpath_is_at(place, key, vlan))
			return place->kinds;
	}
	return 0;
}
