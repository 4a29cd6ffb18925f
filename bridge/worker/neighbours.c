/*
 * Servers of several farms that have an address in common, in the same VLAN, are one neighbour; so
 * are those behind one gateway, which on each side is another one, though its address may be the
 * same (RFC 4007, 6: a link-local address means something on one link only). An
 * event costs the same however many there are: a hash finds them by address, a heap by time.
 *
 * A server with `mac =` in lb.ini has one of its own, which isn't found by its address.
 */
#include "neighbours.h"

#include <stdlib.h>
#include <string.h>

uint32_t *neighbours_place(const struct neighbours *all, be32 address)
{
	uint64_t spread = be32_get(address) * 0x9e3779b97f4a7c15ull;

	return &all->hashed[(uint32_t)(spread >> 32) & all->mask];
}

/* The neighbour of exactly that, which isn't fixed, or NEIGH_NONE. */
static uint32_t find(const struct neighbours *all, be32 address, uint16_t vlan, uint8_t side)
{
	uint32_t i = *neighbours_place(all, address);

	while (i != NEIGH_NONE && !(be32_eq(all->items[i].address, address) &&
	                            all->items[i].vlan == vlan && all->items[i].side == side))
		i = all->items[i].same;
	return i;
}

/* Makes a neighbour for the server, or lets it have that of another one. */
static void add_server(struct neighbours *all, unsigned s, bool asks)
{
	const struct rules_server *rule = &all->rules->servers[s];
	uint16_t vlan = rules_server_vlan(all->rules, s);
	const be32 next = way_next(all->rules, s);
	const uint8_t side = (uint8_t)way_home(all->rules, s);
	uint32_t i = rule->has_mac ? NEIGH_NONE : find(all, next, vlan, side);
	struct neighbour *n;

	if (i == NEIGH_NONE) {
		i = all->n++;
		all->items[i] = (struct neighbour){.address = next,
		                                   .vlan = vlan,
		                                   .side = side,
		                                   .server = NEIGH_NONE,
		                                   .asker = NEIGH_NONE};
		if (!rule->has_mac) {
			all->items[i].same = *neighbours_place(all, next);
			*neighbours_place(all, next) = i;
		}
	}
	n = &all->items[i];
	all->of[s] = i;
	all->next_server[s] = NEIGH_NONE;
	if (n->server == NEIGH_NONE) {
		n->server = s;
	} else {
		all->next_server[s] = all->next_server[n->server];
		all->next_server[n->server] = s;
	}
	if (n->asker == NEIGH_NONE && !all->rules->farms[rule->farm].gone)
		n->asker = s;
	if (rule->has_mac) {
		n->hop = way_everybody(way_home(all->rules, s), rule->vlan);
		n->hop.mac = rule->mac;
		n->state = NEIGH_KNOWN;
		n->fixed = true;
	} else if (rule->state != STATE_DISABLED && asks && n->asker != NEIGH_NONE) {
		n->search = SEARCH_ALL;
	}
}

/* What the searches that have been begun or taken over say of the timers. */
static void set_timers(struct neighbours *all)
{
	for (uint32_t i = 0; i < all->n; i++)
		least_note(all->timers, i, all->items[i].search == SEARCH_NONE ? LEAST_NONE : 0);
	least_order(all->timers);
}

/* False if there isn't enough. */
static bool take_memory(struct neighbours *all)
{
	unsigned n = all->rules->nservers;
	uint32_t places = 16;

	while (places < 2 * n)
		places *= 2;
	all->mask = places - 1;
	all->items = calloc(n + 1u, sizeof(*all->items));
	all->was = malloc((n + 1u) * sizeof(*all->was));
	all->of = calloc(n + 1u, sizeof(*all->of));
	all->next_server = calloc(n + 1u, sizeof(*all->next_server));
	all->hashed = malloc(places * sizeof(*all->hashed));
	all->timers = least_new(n);
	if (!all->items || !all->was || !all->of || !all->next_server || !all->hashed ||
	    !all->timers)
		return false;
	memset(all->hashed, 0xff, places * sizeof(*all->hashed)); /* NEIGH_NONE */
	memset(all->was, 0xff, (n + 1u) * sizeof(*all->was));
	return true;
}

bool neighbours_init(struct neighbours *all, const struct rules *rules, bool asks)
{
	*all = (struct neighbours){.rules = rules};
	if (!take_memory(all))
		return false;
	for (unsigned s = 0; s < rules->nservers; s++)
		add_server(all, s, asks);
	set_timers(all);
	return true;
}

void neighbours_free(struct neighbours *all)
{
	least_free(all->timers);
	free(all->hashed);
	free(all->next_server);
	free(all->of);
	free(all->was);
	free(all->items);
}

bool neighbours_may_be_at(const struct neighbours *all, const struct neighbour *n,
                          const struct hop *hop)
{
	return vlan_matches(n->vlan, hop_vlan(hop)) &&
	       way_search(all->rules, n->server, 1) >> hop->side & 1;
}

static void inherit(const struct neighbours *all, struct neighbour *n, const struct neighbour *old)
{
	if (old->state == NEIGH_UNKNOWN || !neighbours_may_be_at(all, n, &old->hop))
		return;
	n->state = old->state;
	n->hop = old->hop;
	n->other = old->other;
	n->claimed = old->claimed;
	n->heard = old->heard;
	n->doubted = old->doubted;
	n->search = n->asker == NEIGH_NONE ? SEARCH_NONE : old->search;
}

/* Addresses don't change while a table is there. */
void neighbours_trace(struct neighbours *all, const struct neighbours *old)
{
	for (uint32_t i = 0; i < all->n; i++) {
		const struct neighbour *n = &all->items[i];

		all->was[i] = n->fixed ? NEIGH_NONE : find(old, n->address, n->vlan, n->side);
	}
}

void neighbours_inherit(struct neighbours *all, const struct neighbours *old)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->was[i] != NEIGH_NONE)
			inherit(all, &all->items[i], &old->items[all->was[i]]);
	set_timers(all);
}
