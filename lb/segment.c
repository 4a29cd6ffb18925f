/*
 * The table of neighbours. An entry stands in the set that a keyed hash of its address and VLAN
 * names, so that nobody can fill a set on purpose.
 *
 * Flows that are answered at a neighbour name a place of hops that is the neighbour's alone: its
 * origin is the entry's identity, which no frame can come from. So when the neighbour moves, one
 * write moves all its flows, and those of nobody else.
 *
 * Flows whose clients are behind a router name the place of the router's MAC address. When a router
 * moves (another one takes over its address), its ARP names that address and none of the clients'.
 * So all flows whose packets came from the old place are answered at the new one, until a packet
 * comes from the old place again.
 */
#include "segment.h"

/* The hash's factors are made of numbers from this one on, which flows.c doesn't use. */
enum { SEGMENT_FACTORS = 32 };

static_assert(SEGMENT_FILTER_BITS % 64 == 0, "whole words");

static uint32_t hash_of(const struct segment *segment, const struct ip6 *address, uint16_t vlan)
{
	return ip6_multilinear(segment->factors, address) ^ vlan * 0x9e3779b1u;
}

static unsigned filter_bit(const struct segment *segment, const struct ip6 *address)
{
	return ip6_multilinear(segment->factors, address) % SEGMENT_FILTER_BITS;
}

void segment_lay_out(struct segment *segment, struct arena *arena, const struct hash_key *key)
{
	*segment = (struct segment){.key = *key};
	factors_make(segment->factors, sizeof(segment->factors) / sizeof(uint64_t), key,
	             SEGMENT_FACTORS);
	segment->entries = arena_take(arena, SEGMENT_ENTRIES, sizeof(*segment->entries));
	segment->tags = arena_take(arena, SEGMENT_ENTRIES, sizeof(*segment->tags));
	segment->macs = arena_take(arena, SEGMENT_ENTRIES, sizeof(*segment->macs));
	segment->fresh = arena_take(arena, SEGMENT_FILTER_BITS / 8, 1);
	segment->looked_for = arena_take(arena, SEGMENT_FILTER_BITS / 8, 1);
	if (!segment->entries)
		return;
	memset(segment->entries, 0, SEGMENT_ENTRIES * sizeof(*segment->entries));
	memset(segment->tags, 0, SEGMENT_ENTRIES * sizeof(*segment->tags));
	memset(segment->macs, 0, SEGMENT_ENTRIES * sizeof(*segment->macs));
	memset(segment->fresh, 0, SEGMENT_FILTER_BITS / 8);
	memset(segment->looked_for, 0, SEGMENT_FILTER_BITS / 8);
}

/* The first entry of the set. */
static uint32_t set_of(uint32_t hash)
{
	return hash % SEGMENT_SETS * SEGMENT_WAYS;
}

/* The tag of an entry that is used: never 0. */
static uint8_t tag_of(uint32_t hash)
{
	return (uint8_t)(hash >> 24 | 1);
}

static_assert(SEGMENT_WAYS == sizeof(uint64_t), "the tags of a set are a word");

/* If there may be an entry with the tag among those of a set. */
static bool may_have(const uint8_t *tags, uint8_t tag)
{
	const uint64_t ones = 0x0101010101010101ull, word = word64_load(tags) ^ ones * tag;

	return (word - ones) & ~word & ones << 7;
}

static struct segment_entry *find(const struct segment *segment, const struct ip6 *address,
                                  uint16_t vlan)
{
	const uint32_t hash = hash_of(segment, address, vlan);
	const uint32_t set = set_of(hash);

	if (!may_have(&segment->tags[set], tag_of(hash)))
		return NULL;
	for (uint32_t i = set; i < set + SEGMENT_WAYS; i++)
		if (segment->tags[i] == tag_of(hash) && segment->entries[i].vlan == vlan &&
		    ip6_eq(&segment->entries[i].address, address))
			return &segment->entries[i];
	return NULL;
}

/* The place where the MAC address stands; else, if it may be added, a free one; or NULL. */
static struct segment_mac *find_mac(const struct segment *segment, const struct mac *mac,
                                    uint16_t vlan, bool add)
{
	uint64_t word = 0;
	struct segment_mac *set, *free = NULL;

	memcpy(&word, mac, sizeof(*mac));
	word |= (uint64_t)vlan << 48;
	set = &segment->macs[siphash(&segment->key, &word, 1) % SEGMENT_SETS * SEGMENT_WAYS];
	for (unsigned i = 0; i < SEGMENT_WAYS; i++) {
		if (set[i].entries && set[i].vlan == vlan && mac_eq(&set[i].mac, mac))
			return &set[i];
		if (!set[i].entries)
			free = &set[i];
	}
	return add ? free : NULL;
}

/* Counts the entry at its MAC address, if there is a place for that. */
static void count_mac(struct segment *segment, struct segment_entry *entry)
{
	struct segment_mac *place = find_mac(segment, &entry->at.mac, entry->vlan, true);

	entry->is_counted = place;
	if (!place)
		return;
	place->mac = entry->at.mac;
	place->vlan = entry->vlan;
	place->entries++;
}

/* To be called before the entry goes, or is elsewhere. */
static void uncount_mac(struct segment *segment, const struct segment_entry *entry)
{
	if (entry->is_counted)
		find_mac(segment, &entry->at.mac, entry->vlan, false)->entries--;
}

/* The origin that stands in hops for those flows of a neighbour whose packets have these tags. */
static struct hop origin_of(const struct segment_entry *entry, const struct hop *tags)
{
	struct hop origin = *tags;

	origin.mac = (struct mac){{0}};
	memcpy(origin.mac.b, &entry->identity, sizeof(entry->identity));
	origin.side = 0;
	origin.unused = 1;
	return origin;
}

/* Tags that a hop in a VLAN may have: one with any of 16 priorities; or none at all, if it is no
 * VLAN. Together they are TAGGINGS. */
enum { TAGGINGS = 17, PRIORITY_SHIFT = 12 };

static bool set_tagging(struct hop *hop, uint16_t vlan, unsigned n)
{
	if (n == TAGGINGS - 1) {
		hop->ntags = 0;
		hop->tpid0 = 0;
		hop->tci[0] = be16_from(0);
		return vlan == VLAN_NONE;
	}
	hop->ntags = 1;
	hop->tpid0 = TPID_8021Q;
	hop->tci[0] = be16_from((uint16_t)(n << PRIORITY_SHIFT | vlan));
	return true;
}

/* Has all places of this origin, with whatever tags, be answered at `to` from now on. */
static void redirect(struct hops *hops, struct hop origin, uint16_t vlan,
                     const struct segment_at *to)
{
	for (unsigned n = 0; n < TAGGINGS; n++) {
		uint16_t place;
		struct hop hop;

		if (!set_tagging(&origin, vlan, n))
			continue;
		place = hops_find(hops, &origin);
		if (place == HOPS_OWN)
			continue;
		hop = hops->places[place].hop;
		hop.mac = to->mac;
		hop.side = to->side & 1u;
		hops_answer(hops, place, &hop);
	}
}

static bool is_in_use(const struct hops *hops, const struct segment_entry *entry)
{
	static const struct hop untagged;
	struct hop origin = origin_of(entry, &untagged);

	for (unsigned n = 0; n < TAGGINGS; n++)
		if (set_tagging(&origin, entry->vlan, n) && hops_find(hops, &origin) != HOPS_OWN)
			return true;
	return false;
}

/* A place for a new entry: a free one, or the one of the set that was heard of longest ago and that
 * no flow goes to; or SEGMENT_ENTRIES. */
static uint32_t make_room(struct segment *segment, const struct hops *hops, uint32_t set)
{
	uint32_t oldest = SEGMENT_ENTRIES;

	for (uint32_t i = set; i < set + SEGMENT_WAYS; i++) {
		if (!segment->tags[i])
			return i;
		if ((oldest == SEGMENT_ENTRIES ||
		     segment->entries[i].heard < segment->entries[oldest].heard) &&
		    !is_in_use(hops, &segment->entries[i]))
			oldest = i;
	}
	if (oldest == SEGMENT_ENTRIES) {
		segment->counts.refused++;
		return SEGMENT_ENTRIES;
	}
	uncount_mac(segment, &segment->entries[oldest]);
	segment->counts.evicted++;
	return oldest;
}

static bool add(struct segment *segment, const struct hops *hops, const struct ip6 *address,
                uint16_t vlan, const struct segment_at *at, uint32_t now)
{
	const uint32_t hash = hash_of(segment, address, vlan);
	const uint32_t place = make_room(segment, hops, set_of(hash));
	unsigned bit = filter_bit(segment, address);

	if (place == SEGMENT_ENTRIES)
		return false;
	segment->tags[place] = tag_of(hash);
	segment->entries[place] = (struct segment_entry){.address = *address,
	                                                 .vlan = vlan,
	                                                 .heard = now,
	                                                 .identity = ++segment->identities,
	                                                 .at = *at};
	count_mac(segment, &segment->entries[place]);
	segment->fresh[bit / 64] |= 1ull << bit % 64;
	segment->any_fresh = true;
	return true;
}

static void move(struct segment *segment, struct hops *hops, struct segment_entry *entry,
                 const struct segment_at *to)
{
	static const struct hop untagged;
	const struct segment_at from = entry->at;

	redirect(hops, origin_of(entry, &untagged), entry->vlan, to);
	memmove(&entry->past[1], &entry->past[0], sizeof(entry->past) - sizeof(entry->past[0]));
	entry->past[0] = from;
	for (unsigned i = 0; i < SEGMENT_PAST && entry->past[i].is; i++)
		redirect(hops,
		         (struct hop){.mac = entry->past[i].mac, .side = entry->past[i].side & 1u},
		         entry->vlan, to);
	uncount_mac(segment, entry);
	entry->at = *to;
	count_mac(segment, entry);
	segment->counts.moved++;
}

bool segment_note(struct segment *segment, struct hops *hops, const struct sighting *sighting,
                  uint32_t now)
{
	const struct segment_at at = {
	        .mac = sighting->hop.mac, .side = sighting->hop.side, .is = true};
	const uint16_t vlan = hop_vlan(&sighting->hop);
	struct segment_entry *entry = find(segment, &sighting->address, vlan);
	bool moves;

	if (vlan == VLAN_OTHER)
		return false;
	if (!entry)
		return add(segment, hops, &sighting->address, vlan, &at, now);
	moves = !mac_eq(&entry->at.mac, &at.mac) || entry->at.side != at.side;
	if (moves && !sighting->overrides)
		return false;
	entry->heard = now;
	if (!moves)
		return false;
	move(segment, hops, entry, &at);
	return true;
}

/* The client's own entry, if packets of his that come from there are to be answered where that
 * entry says. */
static const struct segment_entry *entry_for(const struct segment *segment,
                                             const struct ip6 *client, const struct hop *from)
{
	const uint16_t vlan = hop_vlan(from);
	const struct segment_entry *entry = find(segment, client, vlan);

	if (!entry || entry->at.side != from->side)
		return NULL;
	return mac_eq(&entry->at.mac, &from->mac) || !find_mac(segment, &from->mac, vlan, false)
	               ? entry
	               : NULL;
}

uint16_t segment_take(struct segment *segment, struct hops *hops, const struct ip6 *client,
                      const struct hop *from, uint32_t now, struct hop *ret)
{
	const struct segment_entry *entry = entry_for(segment, client, from);
	const struct hop origin = entry ? origin_of(entry, from) : *from;

	*ret = *from;
	if (entry)
		ret->mac = entry->at.mac;
	return hops_take(hops, &origin, ret, now);
}

bool segment_knows(const struct segment *segment, const struct ip6 *client, const struct hop *from)
{
	return entry_for(segment, client, from);
}

void segment_begin_look(struct segment *segment)
{
	memcpy(segment->looked_for, segment->fresh, SEGMENT_FILTER_BITS / 8);
	memset(segment->fresh, 0, SEGMENT_FILTER_BITS / 8);
	segment->any_fresh = false;
}

bool segment_is_looked_for(const struct segment *segment, const struct ip6 *address)
{
	unsigned bit = filter_bit(segment, address);

	return segment->looked_for[bit / 64] >> bit % 64 & 1;
}
