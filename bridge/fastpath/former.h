/*
 * What an earlier process has left of interfaces that it knew by other names.
 */
#ifndef BRIDGE_FORMER_H
#define BRIDGE_FORMER_H

#include "../cable/cable.h"

/*
 * Has what was left of the interfaces of cable be found by these names, under which a start or
 * `wire release` looks for it. An interface may have been called by another one of its names, or
 * renamed since, and if all are gone they may have been made anew with the same MAC addresses; all
 * of them must be there. The cable must be claimed (cable_open()): nobody else
 * has these interfaces, then. Returns 0, or -EBUSY with the reason logged: a process has that place
 * that lives, in another network namespace, where its interfaces have the same names.
 */
int former_find(const char *const names[NSIDES], const struct cable *cable);

/*
 * If a release of these names may remove what it finds. Returns 0, or:
 * -ENODEV: not all of them are there, and nothing shows that what stands under them was left here,
 *   and not in another network namespace; an interface that is there and that it was left of shows
 *   it, or a punt device that was made for one which is gone.
 * -EBUSY, with the reason logged: all of them are there, and what was left is of one of them and
 *   another one; former_find() has to have looked before.
 */
int former_may_release(const char *const names[NSIDES], const struct cable *cable);

#endif
