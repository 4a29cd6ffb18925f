/*
 * The start of a live tmbridge.
 */
#ifndef BRIDGE_START_H
#define BRIDGE_START_H

#include "instance.h"

/*
 * Takes the wire, shuts the process in and makes the workers, to whom the rules belong then.
 * Returns 0, or a negative errno with the reason logged: the rules remain the caller's, and what
 * live has is to be closed in either case.
 */
int start_live(struct live *live, struct rules *rules);

#endif
