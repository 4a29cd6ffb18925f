/*
 * SYNs on live flows. A client that has crashed, or has given up, uses its port again; or a
 * stranger says so. Which of them it is only the server knows, and its answer tells. Until then the
 * SYN is kept here, apart from the flow, of which it must change nothing.
 *
 * If the server isn't to have new connections the SYN makes another flow, to another server. Nor
 * does that prove anything before it opens: so long the older flow stays, and has its client back
 * when that one goes on.
 *
 * Strangers can have a SYN forgotten before its answer comes, by sending others: then the flow goes
 * on with the numbers that it has, and the client's next attempt may do better.
 */
#include "anew.h"

/* Servers answer at once or not at all; clients repeat a SYN after a second. */
enum { ANEW_WAIT_TICKS = 5 * FLOW_TICKS_PER_S };

void anew_lay_out(struct anew *anew, struct arena *arena)
{
	anew->places = arena_take(arena, ANEW_PLACES, sizeof(*anew->places));
	anew->heirs = arena_take(arena, ANEW_PLACES, sizeof(*anew->heirs));
	for (unsigned i = 0; anew->places && i < ANEW_PLACES; i++) {
		anew->places[i] = (struct anew_syn){.flow = FLOW_NONE};
		anew->heirs[i] = (struct anew_heir){FLOW_NONE, FLOW_NONE};
	}
}

void anew_note(struct anew *anew, uint32_t flow, const struct packet *packet, uint32_t tick)
{
	anew->waiting += anew->places[flow % ANEW_PLACES].flow == FLOW_NONE;
	anew->places[flow % ANEW_PLACES] = (struct anew_syn){
	        .flow = flow,
	        .tick = tick,
	        .syn = {packet->seq + packet->seq_len, packet->stamp, packet->wscale},
	        .from = packet->from,
	};
}

const struct anew_syn *anew_find(const struct anew *anew, uint32_t flow, uint32_t tick)
{
	const struct anew_syn *place = &anew->places[flow % ANEW_PLACES];

	if (!anew->waiting)
		return NULL;
	return place->flow == flow && tick - place->tick <= ANEW_WAIT_TICKS ? place : NULL;
}

void anew_set_older(struct anew *anew, uint32_t flow, uint32_t older)
{
	struct anew_heir *heir = &anew->heirs[flow % ANEW_PLACES];

	if (older != FLOW_NONE)
		*heir = (struct anew_heir){flow, older};
	else if (heir->flow == flow)
		heir->flow = FLOW_NONE;
}

uint32_t anew_older(const struct anew *anew, uint32_t flow)
{
	const struct anew_heir *heir = &anew->heirs[flow % ANEW_PLACES];

	return heir->flow == flow ? heir->older : FLOW_NONE;
}

uint32_t anew_heir(const struct anew *anew, uint32_t flow)
{
	return anew->heirs[flow % ANEW_PLACES].flow;
}

void anew_forget(struct anew *anew, uint32_t flow)
{
	if (!anew->waiting || anew->places[flow % ANEW_PLACES].flow != flow)
		return;
	anew->places[flow % ANEW_PLACES].flow = FLOW_NONE;
	anew->waiting--;
}
