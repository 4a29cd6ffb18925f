/*
 * The table of hops: finding one, taking its place for a flow, giving it back.
 *
 * The places are sets of HOPS_WAYS, one of which a hop's hash says. With HOPS_PLACES_MAX places a
 * few thousand hops, or even tens of thousands, find room, all but one in a million. A place that
 * nobody holds any more rests before it is given to another hop.
 *
 * A hop that finds no room isn't refused: its flows keep it themselves, up to their end. Whether a
 * client really is where a hop says is judged elsewhere: see progress.c and follow.c.
 */
#include "hops.h"

#include "table.h"

enum { HOPS_PLACES_PER_FLOW = 4 };

/* If the place is HOPS_OWN or HOPS_NOWHERE, which no hop is ever put into. */
static inline bool is_set_aside(uint32_t place)
{
	return place == HOPS_OWN || place == HOPS_NOWHERE;
}

void hops_lay_out(struct hops *hops, struct arena *arena, uint32_t flows)
{
	hops->nplaces = HOPS_PLACES_MIN;
	while (hops->nplaces < HOPS_PLACES_MAX && hops->nplaces / HOPS_PLACES_PER_FLOW < flows)
		hops->nplaces *= 2;
	hops->places = table_take(arena, TABLE_PLACES, hops->nplaces, sizeof(*hops->places));
	hops->origins = arena_take(arena, hops->nplaces, sizeof(*hops->origins));
	hops->rests = arena_take(arena, hops->nplaces, sizeof(*hops->rests));
	if (!hops->places)
		return;
	if (!table_keeps(arena))
		memset(hops->places, 0, hops->nplaces * sizeof(*hops->places));
	memset(hops->origins, 0, hops->nplaces * sizeof(*hops->origins));
	memset(hops->rests, 0, hops->nplaces * sizeof(*hops->rests));
}

static uint32_t set_of(const struct hops *hops, const struct hop *hop)
{
	uint64_t bits = hop_head(hop) ^ (uint64_t)hop_tail(hop) << 29;

	return (uint32_t)((bits ^ bits >> 32) * 0x9e3779b97f4a7c15ull >> 32) &
	       (hops->nplaces / HOPS_WAYS - 1);
}

void hop_store(void *to, const struct hop *hop)
{
	uint32_t words[3] = {0};

	memcpy(words, hop, sizeof(*hop));
	both_copy(to, words, sizeof(words));
}

uint16_t hops_find(const struct hops *hops, const struct hop *origin)
{
	const uint32_t first = set_of(hops, origin) * HOPS_WAYS;

	for (uint32_t p = first; p < first + HOPS_WAYS; p++)
		if (!is_set_aside(p) && hops->places[p].users && hop_eq(&hops->origins[p], origin))
			return (uint16_t)p;
	return HOPS_OWN;
}

uint16_t hops_take(struct hops *hops, const struct hop *origin, const struct hop *hop, uint32_t now)
{
	const uint32_t first = set_of(hops, origin) * HOPS_WAYS;
	uint32_t found = HOPS_OWN;

	for (uint32_t p = first; p < first + HOPS_WAYS; p++) {
		const struct hops_place *place = &hops->places[p];

		if (is_set_aside(p))
			continue;
		if (hop_eq(&hops->origins[p], origin)) { /* in use, at rest, or free again and not
			                                    given to another hop yet */
			found = p;
			break;
		}
		if (found == HOPS_OWN && !place->users && hops->rests[p] <= now)
			found = p;
	}
	if (found != HOPS_OWN) {
		hops->origins[found] = *origin;
		hops_answer(hops, (uint16_t)found, hop);
	}
	hops->places[found].users++;
	return (uint16_t)found;
}

/* An origin for the hop of a flow that has kept it itself: one with a group's MAC address, which no
 * frame comes from. So no neighbour that moves takes the flow along, as none did before. */
static struct hop kept_origin(const struct hop *hop)
{
	struct hop origin = *hop;

	origin.mac.b[0] |= 1;
	return origin;
}

uint16_t hops_take_anywhere(struct hops *hops, const struct hop *hop, uint32_t now)
{
	const struct hop origin = kept_origin(hop);
	const uint32_t first = set_of(hops, &origin) * HOPS_WAYS;
	uint32_t p = hops_find(hops, &origin);

	for (uint32_t i = 0; p == HOPS_OWN && i < HOPS_TRIES && i < hops->nplaces; i++) {
		const uint32_t at = (first + i) & (hops->nplaces - 1);

		/* a place that has this hop already needn't rest */
		if (is_set_aside(at) || hops->places[at].users ||
		    (hops->rests[at] > now && !hop_eq(&hops->places[at].hop, hop)))
			continue;
		hops->origins[at] = origin;
		hops_answer(hops, (uint16_t)at, hop);
		p = at;
	}
	if (p == HOPS_OWN)
		p = HOPS_NOWHERE;
	hops_take_place(hops, (uint16_t)p);
	return (uint16_t)p;
}

void hops_adopt(struct hops *hops, uint32_t now)
{
	for (uint32_t p = 0; p < hops->nplaces; p++) {
		hops->places[p].users = 0;
		hops->origins[p] = hops->places[p].hop; /* mostly the same */
		hops->rests[p] = now + HOPS_REST;
	}
}

void hops_give_back(struct hops *hops, uint16_t place, uint32_t now)
{
	hops->places[place].users--;
	hops->rests[place] = now + HOPS_REST;
}
