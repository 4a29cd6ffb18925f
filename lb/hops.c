#include "hops.h"

static unsigned set_of(const struct hop *hop)
{
	uint64_t bits = hop_head(hop) ^ (uint64_t)hop_tail(hop) << 29;

	return (unsigned)((bits ^ bits >> 32) * 0x9e3779b97f4a7c15ull >> 32) % HOPS_SETS;
}

uint8_t hops_take(struct hops *hops, const struct hop *hop)
{
	const unsigned first = set_of(hop) * HOPS_WAYS;
	unsigned free = HOPS_OWN;

	for (unsigned p = first; p < first + HOPS_WAYS; p++) {
		if (p == HOPS_OWN)
			continue;
		if (hops->places[p].users && hop_eq(&hops->places[p].hop, hop)) {
			hops->places[p].users++;
			return (uint8_t)p;
		}
		if (!hops->places[p].users && free == HOPS_OWN)
			free = p;
	}
	if (free != HOPS_OWN)
		hops->places[free].hop = *hop;
	hops->places[free].users++;
	return (uint8_t)free;
}

void hops_give_back(struct hops *hops, uint8_t place)
{
	hops->places[place].users--;
}
