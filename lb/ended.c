/*
 * Records of ended flows, on their way out of the engine.
 *
 * A ring of fixed size: whoever is interested empties it after each burst; if nobody does in time,
 * records are lost and counted, and traffic doesn't wait.
 */
#include "ended.h"

void ended_lay_out(struct ended_ring *ring, struct arena *arena)
{
	*ring = (struct ended_ring){
	        .ring = arena_take_zeroed(arena, ENDED_RING, sizeof(*ring->ring))};
}

void ended_put(struct ended_ring *ring, const struct ended *record)
{
	if (ring->tail - ring->head == ENDED_RING)
		ring->lost++;
	else
		ring->ring[ring->tail++ % ENDED_RING] = *record;
}

bool ended_take(struct ended_ring *ring, struct ended *ret)
{
	if (ring->head == ring->tail)
		return false;
	*ret = ring->ring[ring->head++ % ENDED_RING];
	return true;
}

const char *ended_name(enum ended_why why)
{
	static const char *const names[] = {
	        [ENDED_FIN] = "fin",           [ENDED_RST] = "rst",
	        [ENDED_IDLE] = "idle",         [ENDED_SERVER_DOWN] = "server_down",
	        [ENDED_RELOAD] = "reload",     [ENDED_EVICTED] = "evicted",
	        [ENDED_OPERATOR] = "operator", [ENDED_LIMIT] = "limit",
	        [ENDED_EXIT] = "exit",
	};

	return names[why];
}
