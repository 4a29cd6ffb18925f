/*
 * The fast path: programs in the kernel that let the wire cross, and hand the rest to the workers.
 */
#ifndef BRIDGE_FASTPATH_H
#define BRIDGE_FASTPATH_H

#include "guard.h"
#include "heritage.h"
#include "../cable/cable.h"
#include "../port/port.h"
#include "../../lb/rules.h"

struct fastpath;

/* If the rules want one. */
static inline bool fastpath_is_wanted(const struct rules *rules)
{
	return rules->fast_path != FAST_PATH_OFF;
}

/* Looks for what an earlier process has left for these interfaces; heritage_close() is due. */
void fastpath_find(const char *const names[NSIDES], struct heritage *ret);

/*
 * Loads all into the kernel for the interfaces of cable, named names by enum side, and for n
 * workers of these shares; nothing is attached yet. Flows in heritage, which must be of such
 * workers (heritage_fits()), go on; it may be NULL. guard is NULL on a cable. Returns 0 and sets
 * *ret: to NULL if the rules want no fast path and no flow was left, or if the kernel won't have it
 * and the rules leave that to it, which is logged. Else returns a negative errno with the reason
 * logged.
 */
int fastpath_open(const char *const names[NSIDES], struct cable *cable, const struct rules *rules,
                  const struct share *shares, unsigned n, const struct heritage *heritage,
                  const struct guard *guard, struct fastpath **ret);

/* Detaches all, and undoes what was made of the interfaces. fastpath may be NULL. */
void fastpath_close(struct fastpath *fastpath);

/* Leaves all in place, so that it goes on without a process. */
void fastpath_leave(struct fastpath *fastpath);

/* If there was one in place already, that another process had left. */
bool fastpath_was_left(const struct fastpath *fastpath);

/* If the flows of that process are still to be adopted, by lb_adopt(). */
bool fastpath_inherits(const struct fastpath *fastpath);

/* Until then: if that process had this address, an IPv4 address being mapped, in that VLAN. False
 * if there was none. */
bool fastpath_had(const struct fastpath *fastpath, const struct ip6 *address, uint16_t vlan);

/*
 * Before the first worker adopts its flows, or begins without any, and after the last one has. In
 * between a flow's server may have the number that it had, or that it has by these rules. The
 * latter returns 0, -ENOMEM, or -E2BIG if the rules are too many for it. fastpath may be NULL.
 */
void fastpath_begin(struct fastpath *fastpath, const struct rules *rules);
int fastpath_begun(struct fastpath *fastpath, const struct rules *rules);

/* Once attached to both sides: has it outlive the process. Returns 0 or a negative errno. */
int fastpath_pin(struct fastpath *fastpath);

/*
 * Removes what a process that is no more has left on the interfaces of cable, whose settings cable
 * is told to set back. Returns 0, -ENOENT if there is nothing, or another negative errno.
 */
int fastpath_release(const char *const names[NSIDES], struct cable *cable);

/* The device on which what the workers must see of a side arrives. */
const struct link *fastpath_punt(const struct fastpath *fastpath, enum side side);

/*
 * Attaches the programs to the interface of a side, which may be another one than before, and
 * is now as `is` says. Returns 0 or a negative errno.
 */
int fastpath_attach(struct fastpath *fastpath, enum side side, const struct cable_state *is);

/* Notes what has changed of that interface. */
void fastpath_follow(struct fastpath *fastpath, enum side side, const struct cable_state *is);

/* Notes what of the host's settings is to be set back one day. */
void fastpath_note_left(struct fastpath *fastpath, enum side side,
                        const struct settings_left *left);

/* From now on the programs decide, or else all goes to the host's stack and to sockets on the
 * ports. */
void fastpath_activate(struct fastpath *fastpath, bool active);
bool fastpath_is_active(const struct fastpath *fastpath);

/* Makes ready for other rules, while those in use go on; and goes over to them, for which it has
 * little to do then. Return 0, -ENOMEM, or -E2BIG if they are too many for it. */
int fastpath_prepare_rules(struct fastpath *fastpath, const struct rules *rules);
int fastpath_set_rules(struct fastpath *fastpath, const struct rules *rules);

/*
 * Makes the filters' program for these rules, and goes over to it. In between it may be that
 * another one is prepared instead. Return 0, or a negative errno: the kernel won't have it, which
 * both say, or it can't be put in its place. Without filters there is none. At the start it is
 * there.
 */
int fastpath_prepare_filters(struct fastpath *fastpath, const struct rules *rules);
int fastpath_use_filters(struct fastpath *fastpath, const struct rules *rules, lb_time now);

/* The filters of these rules are in force, but the process's, while this isn't active. */
void fastpath_forgo_filters(struct fastpath *fastpath, const struct rules *rules);

/* If filters are the programs', and the process has no part in them but resets. fastpath may be
 * NULL, as for what follows: then a filter has done nothing. */
bool fastpath_filters(const struct fastpath *fastpath);

/* What one of them has done since the start, and a frame for the log: see filters.h. */
void fastpath_filter_count(const struct fastpath *fastpath, unsigned filter,
                           struct fastpath_filter_counts *ret);
bool fastpath_filter_see(struct fastpath *fastpath, unsigned filter,
                         struct fastpath_filter_seen *ret);

/* Says where the arrays of a worker's engine are, as lb_table_sizes() counts them. */
void fastpath_table(const struct fastpath *fastpath, unsigned worker, struct table *ret);

/* Why flows are all the process's, as long as there is one: our addresses aren't used yet, or
 * somebody wants to see what crosses. */
enum fastpath_hold { FASTPATH_HOLD_UNCHECKED = 1, FASTPATH_HOLD_CAPTURE = 2 };

/* They are for that reason, from when this returns, or not any more. */
void fastpath_hold(struct fastpath *fastpath, enum fastpath_hold why, bool held);

/*
 * Rules follow in which server s of n has the number map[s], if it has any flows. Until
 * fastpath_renumbered(), which is due if this returns true, a flow's server may have either; and
 * ways are those of the new rules. What the old numbers' flows have carried is added to sums, of
 * the new ones, then. fastpath may be NULL.
 */
bool fastpath_renumber(struct fastpath *fastpath, const struct rules *rules, const uint16_t *map,
                       unsigned n);
void fastpath_renumbered(struct fastpath *fastpath, const uint16_t *map, unsigned n,
                         struct flow_sum *sums);

/* Where a server of rules is, or NULL: the process's to find out. */
void fastpath_set_way(struct fastpath *fastpath, const struct rules *rules, unsigned server,
                      const struct hop *hop);

/* Where the programs have a server to be; false if they don't know. */
bool fastpath_way(const struct fastpath *fastpath, unsigned server, struct hop *ret);

/* If something was sent there since it was asked last. */
bool fastpath_used_way(struct fastpath *fastpath, unsigned server);

/* The process is well, at time now of CLOCK_MONOTONIC. */
void fastpath_beat(struct fastpath *fastpath, lb_time now);

/*
 * If the programs have let this frame, which came from a punt device and isn't addressed to us,
 * cross already: then it has only been told.
 */
bool fastpath_has_crossed(const struct fastpath *fastpath, const struct frame *frame);

/* Adds what the flows of the first n servers have carried in the kernel since this was done last.
 * fastpath may be NULL. */
void fastpath_take_sums(struct fastpath *fastpath, unsigned n, struct flow_sum *sums);

/* What all processors have counted since this process began. */
void fastpath_count(const struct fastpath *fastpath, struct fastpath_counts *ret);

#endif
