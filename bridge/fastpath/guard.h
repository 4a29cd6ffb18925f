/*
 * Keeps tmbridge's packets from the host's stack: guard.bpf.c.
 */
#ifndef BRIDGE_GUARD_H
#define BRIDGE_GUARD_H

#include "loaded.h"
#include "../cable/link.h"
#include "../../lb/rules.h"
#include "../../lb/tuple.h"

struct guard;

/* Loads the program, with these rules. Returns 0 and sets *ret, or a negative errno with the reason
 * logged. */
int guard_open(const struct rules *rules, struct guard **ret);

/* guard_attach() attaches the guard to the interface of a side, which may be another one than
 * before; guard_close() takes it off. Returns 0 or a negative errno; on a cable, which does
 * without, 0 in any case. */
int guard_attach(struct guard *guard, enum side side, const struct link *link);
void guard_close(struct guard *guard);

/* Frees guard, but leaves the program attached, for the process that comes after this one, unless
 * it is a cable's. guard may be NULL in both. */
void guard_leave(struct guard *guard);

/* Its maps, for the fast path. */
struct loaded_guard guard_maps(const struct guard *guard);

/* Removes one that another process has left on an interface; false if there was none. */
bool guard_release(struct mnl_socket *socket, const struct link *link);

/*
 * guard_prepare_rules() writes other rules beside those in use; guard_set_rules() goes over to
 * them, after preparing them unless that was done just before. Return 0 or, with those in use as
 * they were, -E2BIG if they don't fit.
 */
int guard_prepare_rules(struct guard *guard, const struct rules *rules);
int guard_set_rules(struct guard *guard, const struct rules *rules);

/*
 * If these rules, which the guard is prepared for, leave to the host what those in use don't,
 * guard_keep_all() adds all of that to what is prepared. guard_keep() adds what a flow needs that
 * has these tuples. True if anything was lacking.
 */
bool guard_keep_all(struct guard *guard, const struct rules *rules);
bool guard_keep(struct guard *guard, const struct rules *rules, const struct tuple arrive[2]);

#endif
