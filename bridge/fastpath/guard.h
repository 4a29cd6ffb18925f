/*
 * Keeping tmbridge's packets from the host's stack, where the two share interfaces: guard.bpf.c.
 */
#ifndef BRIDGE_GUARD_H
#define BRIDGE_GUARD_H

#include "loaded.h"
#include "../cable/link.h"
#include "../../lb/rules.h"

struct guard;

/* Loads the program, with these rules. Returns 0 and sets *ret, or a negative errno with the reason
 * logged. */
int guard_open(const struct rules *rules, struct guard **ret);

/* Puts it on an interface, or another one in the place of the one that was there; on close it is
 * taken off. Return 0 or a negative errno. */
int guard_attach(struct guard *guard, enum side side, const struct link *link);
void guard_close(struct guard *guard);

/* Leaves it in place, for whoever comes after. guard may be NULL, here and there. */
void guard_leave(struct guard *guard);

/* Its maps, for the fast path. */
struct loaded_guard guard_maps(const struct guard *guard);

/* Removes one that another process has left on an interface; false if there was none. */
bool guard_release(struct mnl_socket *socket, const struct link *link);

/* Makes ready for other rules beside those in use, and goes over to them: the latter does the
 * former as well, unless that was the last thing to be prepared. Return 0 or, with those in use as
 * they were, -E2BIG if they don't fit. */
int guard_prepare_rules(struct guard *guard, const struct rules *rules);
int guard_set_rules(struct guard *guard, const struct rules *rules);

#endif
