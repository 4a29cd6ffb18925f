/*
 * Following clients.
 *
 * When a neighbour that is known is sighted elsewhere, all of its flows move at once (segment.c).
 * One that has only now become known may have flows already, which are answered where their packets
 * came from. Finding those takes a search through all flows: that is done in steps, at most once a
 * second, for all such neighbours together.
 */
#include "follow.h"

enum { FOLLOW_STEP = 8192 /* flows that one call looks at */ };

/* From now on the flow is answered where the neighbour is whose packets come by this hop. */
static void answer(struct balance *balance, uint32_t f, const struct ip6 *client,
                   const struct hop *from)
{
	struct flows *flows = &balance->flows;
	struct hop hop;
	uint16_t place = segment_take(&balance->segment, &flows->hops, client, from,
	                              flow_last(flows_at(flows, f)), &hop);

	flows_set_client(flows, f, place, &hop);
}

void follow_packet(struct balance *balance, uint32_t f, const struct hop *from)
{
	struct ip6 client;

	if (hop_eq(flows_client(&balance->flows, f), from) || !mac_is_host(&from->mac))
		return;
	client = balance_client(balance, f);
	answer(balance, f, &client, from);
}

bool follow_sighting(struct balance *balance, const struct sighting *sighting, lb_time now)
{
	return segment_note(&balance->segment, &balance->flows.hops, sighting,
	                    balance_tick(balance, now));
}

/* Begins a search, if a neighbour has become known since the last one. */
static bool begin(struct balance *balance, uint32_t tick)
{
	if (!balance->segment.any_fresh || tick - balance->follow_began < FLOW_TICKS_PER_S)
		return false;
	segment_begin_look(&balance->segment);
	balance->follow_began = tick;
	balance->follow_cursor = 0;
	balance->follow_left = balance->flows.reached;
	return true;
}

static void look_at(struct balance *balance, uint32_t f)
{
	struct flows *flows = &balance->flows;
	const struct hop from = *flows_client(flows, f);
	struct ip6 client;

	if (flows_at(flows, f)->state == FLOW_FREE)
		return;
	client = balance_client(balance, f);
	if (segment_is_looked_for(&balance->segment, &client) &&
	    segment_knows(&balance->segment, &client, &from))
		answer(balance, f, &client, &from);
}

bool follow_look(struct balance *balance, lb_time now)
{
	if (!balance->follow_left && !begin(balance, balance_tick(balance, now)))
		return false;
	for (unsigned i = 0; i < FOLLOW_STEP && balance->follow_left; i++) {
		look_at(balance, balance->follow_cursor++);
		balance->follow_left--;
	}
	return balance->follow_left;
}
