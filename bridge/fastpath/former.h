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
 * If what was left of these interfaces, under these names, may be removed though not all of them
 * are there: one of them is that it was left of, or a punt device that was made for one which is
 * gone. Else it may have been left in another network namespace: -ENODEV. If all are there, and
 * former_find() has looked: 0, or -EBUSY with the reason logged if something was left of one of
 * them and another one, and nothing of this pair.
 */
int former_may_release(const char *const names[NSIDES], const struct cable *cable);

#endif
