/*
 * Checks of the interfaces before the wire is taken: what would go wrong is said before anything is
 * cut.
 */
#ifndef BRIDGE_PREFLIGHT_H
#define BRIDGE_PREFLIGHT_H

#include "../../lb/frame.h"

/*
 * Looks at both interfaces, named by enum side. Returns 0, or a negative errno with the first thing
 * that is wrong logged.
 */
int preflight_interfaces(const char *const names[NSIDES], bool may_be_down, bool same_mtu);

#endif
