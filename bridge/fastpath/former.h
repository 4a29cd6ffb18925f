/*
 * What an earlier process has left of interfaces that it knew by other names.
 */
#ifndef BRIDGE_FORMER_H
#define BRIDGE_FORMER_H

#include "../cable/cable.h"

/*
 * Has what was left of the interfaces of cable be found by these names, under which a start or
 * `wire release` looks for it. An interface may have been called by another one of its names, or
 * renamed since. The cable must be claimed (cable_open()): nobody else has these interfaces, then.
 */
void former_find(const char *const names[NSIDES], const struct cable *cable);

#endif
