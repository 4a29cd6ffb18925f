/*
 * Whether one side's link follows the other's: link_mirror.
 */
#ifndef BRIDGE_MIRROR_H
#define BRIDGE_MIRROR_H

#include <stdbool.h>

enum link_state {
	LINK_UP,
	LINK_NO_CARRIER, /* administratively up, but the cable or the neighbour is dead */
	LINK_DOWN,       /* administratively */
	LINK_GONE,       /* no such interface */
};

/* A side as the mirror sees it. */
struct mirror_side {
	enum link_state state;
	bool held;   /* we have taken it down */
	bool rising; /* we have set it up so shortly ago that it may be without a carrier yet */
};

enum mirror_act {
	MIRROR_LEAVE,
	MIRROR_HOLD,    /* take it down */
	MIRROR_RELEASE, /* set it up again */
};

/* What to do with a side, given the other one. on is link_mirror. */
enum mirror_act mirror_decide(bool on, const struct mirror_side *self,
                              const struct mirror_side *other);

/* The word for it in the statistics. */
const char *link_state_name(enum link_state state);

#endif
