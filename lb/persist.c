/*
 * Client addresses that stick to their servers, as a set-associative table: an address has a few
 * places where it may stand, and the one that would expire first makes room for a new one. So it is
 * bounded, needs no sweeping, and forgets at worst an address too many.
 */
#include "persist.h"

enum { PERSIST_WAYS = 4 }; /* entries of a set: one cache line */

static_assert(sizeof(struct persist_entry) * PERSIST_WAYS == ARENA_ALIGN, "a set is a cache line");

void persist_lay_out(struct persist *persist, struct arena *arena, uint32_t clients,
                     const struct hash_key *key)
{
	*persist = (struct persist){.nsets = clients / PERSIST_WAYS + 1, .key = *key};
	persist->entries =
	        arena_take(arena, (size_t)persist->nsets * PERSIST_WAYS, sizeof(*persist->entries));
	if (persist->entries)
		memset(persist->entries, 0,
		       (size_t)persist->nsets * PERSIST_WAYS * sizeof(*persist->entries));
}

static struct persist_entry *set_of(const struct persist *persist, be32 vip, be32 client)
{
	const struct tuple place = {.src = client, .dst = vip};
	uint64_t hash = tuple_hash(&persist->key, &place);

	return &persist->entries[((hash & 0xffffffff) * persist->nsets >> 32) * PERSIST_WAYS];
}

static bool is_of(const struct persist_entry *entry, be32 vip, be32 client)
{
	return entry->used && be32_eq(entry->vip, vip) && be32_eq(entry->client, client);
}

bool persist_find(const struct persist *persist, be32 vip, be32 client, uint32_t now,
                  uint16_t *ret_server)
{
	const struct persist_entry *set = set_of(persist, vip, client);

	for (unsigned i = 0; i < PERSIST_WAYS; i++) {
		if (!is_of(&set[i], vip, client) || set[i].until <= now)
			continue;
		*ret_server = set[i].server;
		return true;
	}
	return false;
}

/* The place for a client that isn't in the set: a free one, or the one that expires first. */
static struct persist_entry *place_in(struct persist_entry *set)
{
	struct persist_entry *place = &set[0];

	for (unsigned i = 0; i < PERSIST_WAYS && place->used; i++)
		if (!set[i].used || set[i].until < place->until)
			place = &set[i];
	return place;
}

void persist_note(struct persist *persist, be32 vip, be32 client, uint16_t server, uint32_t now,
                  uint32_t until)
{
	struct persist_entry *set = set_of(persist, vip, client), *place = place_in(set);

	for (unsigned i = 0; i < PERSIST_WAYS; i++)
		if (is_of(&set[i], vip, client))
			place = &set[i];
	persist->evicted += place->used && !is_of(place, vip, client) && place->until > now;
	if (is_of(place, vip, client) && place->server == server && place->until > until)
		until = place->until;
	*place = (struct persist_entry){client, vip, until, server, 1};
}

void persist_renumber(struct persist *persist, const uint16_t *map)
{
	for (size_t i = 0; i < (size_t)persist->nsets * PERSIST_WAYS; i++) {
		struct persist_entry *entry = &persist->entries[i];

		if (!entry->used)
			continue;
		entry->server = map[entry->server];
		entry->used = entry->server != SERVER_NONE;
	}
}
