/*
 * Since when our own ports have had a carrier: says if a frame that got no answer can have got out.
 */
#ifndef BRIDGE_CARRIER_H
#define BRIDGE_CARRIER_H

#include "../../lb/frame.h"

#include <stdatomic.h>

/* What a switch and its neighbours take at most before frames cross a link that has come up. */
enum { CARRIER_SETTLES_MS = 1000 };

/* All zeros: both ports have always had one. */
struct carrier {
	_Atomic uint64_t since[NSIDES]; /* ns; UINT64_MAX: there is none */
};

/* Notes if the port of that side has a carrier. From any thread. */
void carrier_note(struct carrier *carrier, enum side side, bool up, lb_time now);

/*
 * If what was sent at that time or later to a hop could get out and be answered, as far as our own
 * ports are concerned. to may be NULL: it was sent by either port.
 */
bool carrier_was_there(const struct carrier *carrier, const struct hop *to, lb_time sent);

#endif
