/*
 * Counts connections without an answer. A server that has become a suspect is counted from 0 again:
 * it isn't one once more before as many further connections have got no answer.
 */
#include "observe.h"

void observe_lay_out(struct observe *observe, struct arena *arena, const struct rules *rules)
{
	observe->nsuspects = 0;
	observe->in_a_row = arena_take_zeroed(arena, rules->nservers, sizeof(*observe->in_a_row));
}

void observe_note(struct observe *observe, const struct rules *rules, unsigned server,
                  bool answered)
{
	const uint32_t most = rules->farms[rules->servers[server].farm].observe;
	uint16_t *in_a_row = &observe->in_a_row[server];

	if (!most)
		return;
	*in_a_row = answered ? 0 : (uint16_t)(*in_a_row + 1);
	if (*in_a_row < most || observe->nsuspects == OBSERVE_SUSPECTS_MAX)
		return;
	*in_a_row = 0;
	observe->suspects[observe->nsuspects++] = (uint16_t)server;
}

bool observe_take(struct observe *observe, uint16_t *ret)
{
	if (!observe->nsuspects)
		return false;
	*ret = observe->suspects[--observe->nsuspects];
	return true;
}
