/*
 * Client addresses that stick to their servers, as a set-associative table: an address has a few
 * places where it may stand, and the one that would expire first makes room for a new one. So it is
 * bounded, needs no sweeping, and forgets at worst an address too many.
 *
 * An entry is sure when a connection of the client is open. Before that anybody could have sent the
 * SYN in his name: such an entry only takes places that no sure one needs.
 *
 * The farms of one VIP share a client's set. If all places of it are his, he gets places in the
 * following set, and so on: so he may stick to a server in each of PERSIST_FARMS farms.
 */
#include "persist.h"

static_assert(sizeof(struct persist_entry) * PERSIST_WAYS == ARENA_ALIGN, "a set is a cache line");

void persist_lay_out(struct persist *persist, struct arena *arena, uint32_t clients,
                     const struct hash_key *key)
{
	*persist = (struct persist){.nsets = clients / PERSIST_WAYS + 1, .key = *key};
	persist->entries = arena_take_zeroed(arena, (size_t)persist->nsets * PERSIST_WAYS,
	                                     sizeof(*persist->entries));
}

/* The client's i-th set. */
static struct persist_entry *set_of(const struct persist *persist, struct persist_key key,
                                    unsigned i)
{
	const struct tuple place = {.src = key.client, .dst = key.vip};
	uint64_t hash = tuple_hash(&persist->key, &place);

	return &persist->entries[(((hash & 0xffffffff) * persist->nsets >> 32) + i) %
	                         persist->nsets * PERSIST_WAYS];
}

/* If the client may have entries in the next set as well: if all entries of this one are sure, and
 * are his for this VIP. */
static bool goes_on(const struct persist *persist, const struct persist_entry *set,
                    struct persist_key key, unsigned i)
{
	if (i + 1 == PERSIST_FARMS / PERSIST_WAYS || i + 1 == persist->nsets)
		return false;
	for (unsigned w = 0; w < PERSIST_WAYS; w++)
		if (set[w].state != PERSIST_SURE || !be32_eq(set[w].vip, key.vip) ||
		    !be32_eq(set[w].client, key.client))
			return false;
	return true;
}

static bool is_of(const struct persist_entry *entry, struct persist_key key)
{
	return entry->state != PERSIST_FREE && be32_eq(entry->vip, key.vip) &&
	       be32_eq(entry->client, key.client) && entry->server >= key.first &&
	       entry->server - key.first < key.nservers;
}

static const struct persist_entry *find_in(const struct persist_entry *set, struct persist_key key,
                                           bool sure, uint32_t now)
{
	for (unsigned w = 0; w < PERSIST_WAYS; w++)
		if (is_of(&set[w], key) && set[w].until > now &&
		    (!sure || set[w].state == PERSIST_SURE))
			return &set[w];
	return NULL;
}

bool persist_find(const struct persist *persist, struct persist_key key, bool sure, uint32_t now,
                  uint16_t *ret_server)
{
	const struct persist_entry *set, *entry;
	unsigned i = 0;

	do {
		set = set_of(persist, key, i);
		entry = find_in(set, key, sure, now);
	} while (!entry && goes_on(persist, set, key, i++));
	if (entry)
		*ret_server = entry->server;
	return entry;
}

/* If a sure entry would be lost with this one. */
static bool is_kept(const struct persist_entry *entry, uint32_t now)
{
	return entry->state == PERSIST_SURE && entry->until > now;
}

/* If the entry is to be given up rather than other. */
static bool goes_before(const struct persist_entry *entry, const struct persist_entry *other,
                        uint32_t now)
{
	if (entry->state == PERSIST_FREE || other->state == PERSIST_FREE)
		return other->state != PERSIST_FREE;
	if (is_kept(entry, now) != is_kept(other, now))
		return is_kept(other, now);
	return entry->until < other->until;
}

/* The client's place, or the one that is to be given up for it. */
static struct persist_entry *place_of(const struct persist *persist, struct persist_key key,
                                      uint32_t now)
{
	struct persist_entry *set, *place = NULL;
	unsigned i = 0;

	do {
		set = set_of(persist, key, i);
		for (unsigned w = 0; w < PERSIST_WAYS; w++) {
			if (is_of(&set[w], key))
				return &set[w];
			if (!place || goes_before(&set[w], place, now))
				place = &set[w];
		}
	} while (goes_on(persist, set, key, i++));
	return place;
}

void persist_note(struct persist *persist, struct persist_key key, uint16_t server, uint32_t now,
                  uint32_t until)
{
	struct persist_entry *place = place_of(persist, key, now);

	persist->evicted += is_kept(place, now) && !is_of(place, key);
	if (is_of(place, key) && place->server == server && place->until > until)
		until = place->until;
	*place = (struct persist_entry){key.client, key.vip, until, server, PERSIST_SURE};
	persist->any = true;
}

void persist_hope(struct persist *persist, struct persist_key key, uint16_t server, uint32_t now,
                  uint32_t until)
{
	struct persist_entry *place = place_of(persist, key, now);

	if (is_kept(place, now) || (is_of(place, key) && place->until > now))
		return;
	*place = (struct persist_entry){key.client, key.vip, until, server, PERSIST_HOPED};
	persist->any = true;
}

void persist_renumber(struct persist *persist, const uint16_t *map)
{
	const bool had = persist->any;

	persist->any = false;
	for (size_t i = 0; had && i < (size_t)persist->nsets * PERSIST_WAYS; i++) {
		struct persist_entry *entry = &persist->entries[i];

		if (entry->state == PERSIST_FREE)
			continue;
		entry->server = map[entry->server];
		if (entry->server == SERVER_NONE)
			entry->state = PERSIST_FREE;
		else
			persist->any = true;
	}
}
