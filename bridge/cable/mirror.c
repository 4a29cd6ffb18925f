/*
 * The mirror's decision.
 *
 * An interface that is held down has no carrier, so nobody can tell whether its cable is alive. Two
 * sides held down for each other's sake would therefore never come back. Hence:
 *
 * - at most one side is held at a time, and only one whose link was up. If both are dead none is
 *   held, and the first to come back is, until the other has come back as well;
 * - a side that is held is no reason for anything. When the other side comes back it is released,
 *   whatever its cable is like. If that turns out to be dead, the other side is held;
 * - a released side is given time to find its carrier before it counts as dead. Without that, two
 *   ports that take seconds for it would hold each other by turns without end.
 *
 * A held side that somebody else sets up is taken down again.
 */
#include "mirror.h"

static bool is_dead(const struct mirror_side *side)
{
	if (side->held || (side->rising && side->state == LINK_NO_CARRIER))
		return false;
	return side->state != LINK_UP;
}

static enum mirror_act decide_held(bool on, const struct mirror_side *self,
                                   const struct mirror_side *other)
{
	if (!on || other->state == LINK_UP)
		return MIRROR_RELEASE;
	return self->state == LINK_UP || self->state == LINK_NO_CARRIER ? MIRROR_HOLD
	                                                                : MIRROR_LEAVE;
}

enum mirror_act mirror_decide(bool on, const struct mirror_side *self,
                              const struct mirror_side *other)
{
	if (self->held)
		return decide_held(on, self, other);
	return on && self->state == LINK_UP && is_dead(other) ? MIRROR_HOLD : MIRROR_LEAVE;
}

const char *link_state_name(enum link_state state)
{
	switch (state) {
	case LINK_UP:
		return "up";
	case LINK_NO_CARRIER:
		return "no_carrier";
	case LINK_DOWN:
		return "down";
	case LINK_GONE:
		return "gone";
	}
	return "?";
}
