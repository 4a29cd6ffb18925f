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

/* Until they are adopted: if that process had this address in that VLAN (an IPv4 address being
 * mapped). False if there was no such process. */
bool fastpath_had(const struct fastpath *fastpath, const struct ip6 *address, uint16_t vlan);

/*
 * To be called before the first worker adopts its flows, or begins without any; and after the last
 * one has. In between a flow's server may have the number that it had, or the one that it has by
 * these rules. The second function returns 0, -ENOMEM, or -E2BIG if the rules don't fit into the
 * maps. fastpath may be NULL.
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

/* Turns the programs on: they decide from now on. Or off: all frames go to the host's stack and to
 * packet sockets on the ports. */
void fastpath_activate(struct fastpath *fastpath, bool active);
bool fastpath_is_active(const struct fastpath *fastpath);

/*
 * fastpath_prepare_rules() writes other rules into the maps beside those in use;
 * fastpath_set_rules() goes over to them, after preparing them unless that was done just before.
 * Return 0, -ENOMEM, or -E2BIG if the rules don't fit into the maps.
 */
int fastpath_prepare_rules(struct fastpath *fastpath, const struct rules *rules);
int fastpath_set_rules(struct fastpath *fastpath, const struct rules *rules);

/*
 * The first one loads the filters' program for these rules, the second one goes over to it; another
 * one may be prepared in between, which counts then. Return 0, or a negative errno: the kernel
 * refuses the program, which both return, or it can't be attached. Rules without filters need none.
 * At the start it is attached with the other programs.
 */
int fastpath_prepare_filters(struct fastpath *fastpath, const struct rules *rules);
int fastpath_use_filters(struct fastpath *fastpath, const struct rules *rules, lb_time now);

/* Notes that the filters of these rules are in force in the process, and not in the kernel, as the
 * programs are off. */
void fastpath_forgo_filters(struct fastpath *fastpath, const struct rules *rules);

/* If the programs have the filters, and leave only resets to the process. fastpath may be NULL,
 * here and in the following: then filters have done nothing. */
bool fastpath_filters(const struct fastpath *fastpath);

/* What one of them has done since the start, and a frame for the log: see filters.h. */
void fastpath_filter_count(const struct fastpath *fastpath, unsigned filter,
                           struct fastpath_filter_counts *ret);
bool fastpath_filter_see(struct fastpath *fastpath, unsigned filter,
                         struct fastpath_filter_seen *ret);

/* Says where the arrays of a worker's engine are, as lb_table_sizes() counts them. */
void fastpath_table(const struct fastpath *fastpath, unsigned worker, struct table *ret);

/* Reasons for which the programs leave all segments of flows to the process, while there is one:
 * our addresses aren't used yet, or somebody captures. */
enum fastpath_hold { FASTPATH_HOLD_UNCHECKED = 1, FASTPATH_HOLD_CAPTURE = 2 };

/* Has the programs do so for that reason, from when this returns on; or not any longer. */
void fastpath_hold(struct fastpath *fastpath, enum fastpath_hold why, bool held);

/*
 * Begins to number servers as rules do, in which server s of n has the number map[s] if it has
 * flows. If it returns true, fastpath_renumbered() must follow when the flows have their new
 * numbers; in between a flow's server may have either, and the functions for ways are about the new
 * ones. What flows have carried by old numbers is then added to sums, by new ones. fastpath may be
 * NULL.
 */
bool fastpath_renumber(struct fastpath *fastpath, const struct rules *rules, const uint16_t *map,
                       unsigned n);
void fastpath_renumbered(struct fastpath *fastpath, const uint16_t *map, unsigned n,
                         struct flow_sum *sums);

/* Notes where a server of rules is; NULL: that isn't known, and the process gets what is for it. */
void fastpath_set_way(struct fastpath *fastpath, const struct rules *rules, unsigned server,
                      const struct hop *hop);

/* Where the programs have a server to be; false if they don't know. */
bool fastpath_way(const struct fastpath *fastpath, unsigned server, struct hop *ret);

/* If the programs have sent something to the server since the last call. */
bool fastpath_used_way(struct fastpath *fastpath, unsigned server);

/* Notes that the process is well, at time now of CLOCK_MONOTONIC: without it the programs soon
 * count it as dead. */
void fastpath_beat(struct fastpath *fastpath, lb_time now);

/*
 * If a frame that came from a punt device and isn't addressed to us has crossed in the kernel
 * already: then it is a copy, and isn't sent on.
 */
bool fastpath_has_crossed(const struct fastpath *fastpath, const struct frame *frame);

/* Adds what the flows of the first n servers have carried in the kernel since this was done last.
 * fastpath may be NULL. */
void fastpath_take_sums(struct fastpath *fastpath, unsigned n, struct flow_sum *sums);

/* What all processors have counted since this process began. */
void fastpath_count(const struct fastpath *fastpath, struct fastpath_counts *ret);

/* How many frames the programs have given to this process since its start that found no room in the
 * kernel's queue on their way (netdev_max_backlog): as last read, if that can't be read now. Of the
 * main thread. */
uint64_t fastpath_refused(struct fastpath *fastpath, enum side side);

#endif
