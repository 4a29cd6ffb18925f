/*
 * Since when our own ports have a carrier, for who judges what came of a frame sent by them.
 */
#ifndef BRIDGE_CARRIER_H
#define BRIDGE_CARRIER_H

#include "../../lb/frame.h"

#include <stdatomic.h>

/* What a switch and its neighbours take at most before frames cross a link that has come up. */
enum { CARRIER_SETTLES_MS = 1000 };

/* All zero: both ports have had one ever since. */
struct carrier {
	_Atomic uint64_t since[NSIDES]; /* ns; UINT64_MAX: there is none */
};

/* Notes whether the port of that side has one. From whichever thread. */
void carrier_note(struct carrier *carrier, enum side side, bool up, lb_time now);

/*
 * If what was sent at that time or later to a hop, NULL if by either port, could come through and
 * be answered, as far as our own ports are concerned.
 */
bool carrier_was_there(const struct carrier *carrier, const struct hop *to, lb_time sent);

#endif
