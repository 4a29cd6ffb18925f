/*
 * What a running tmbridge does when the cable, or the rules, become other than they were.
 */
#ifndef BRIDGE_FOLLOW_H
#define BRIDGE_FOLLOW_H

#include "instance.h"
#include "port/packet.h"

/* Where the ports of a side receive, and where they send. */
/* Puts the guard on that side's interface. Returns 0, or a negative errno with the reason logged.
 */
int follow_guard(struct live *live, enum side side);

/* Adds to rules what the kernel says of routes; as reload.h has it. */
int follow_loaded(void *ctx, struct rules *rules);

/* Whether the host has other addresses or routes than the rules say; looks now and then. */
bool follow_host(struct live *live);

struct packet_where follow_where(const struct live *live, enum side side);

/* Does what a change of either interface asks for, if there was one. */
void follow_cable(struct live *live);

/* Those of sides (1 << side) that have a carrier. */
unsigned follow_with_carrier(const struct live *live, unsigned sides);

/* Notes for the probes which sides have one; changes is NULL at the start. */
void follow_carriers(struct live *live, const struct cable_change *changes, lb_time now);

/*
 * Whether nobody has the addresses of rules on these sides, not counting those of before, which may
 * be NULL. Returns 0, or a negative errno with the reason logged. The second is a reload's, on all
 * sides that have a carrier.
 */
int follow_check(struct live *live, unsigned sides, const struct rules *rules,
                 const struct rules *before);
int follow_check_new(void *live, const struct rules *rules, const struct rules *before);

/* The same with as many as don't take long; sets *ret_more if there are others. These are checked
 * by the second one, while the workers run, and then all are in use on the sides that were held for
 * that. */
int follow_check_first(struct live *live, unsigned sides, const struct rules *rules,
                       bool *ret_more);
int follow_check_rest(struct live *live);

/*
 * Of the sides without a carrier all, if rules have addresses that before, which may be NULL, and
 * an earlier process haven't: these can't be checked there, so the sides are to be held. The second
 * one says so.
 */
unsigned follow_unchecked(const struct live *live, const struct rules *rules,
                          const struct rules *before);
void follow_say_unchecked(const struct live *live, unsigned sides);

/* Uses our addresses nowhere on these sides; the workers must stand still, or not run yet. And
 * checks again, now and then, whether they are free there. */
void follow_hold(struct live *live, unsigned sides);
void follow_held(struct live *live);

/* Has the programs go over to the filters of rules that they were prepared for, if the fast path is
 * wanted. Returns if it has them; else they are the process's, so all must be, which is logged. */
bool follow_filters(struct live *live, const struct rules *rules, bool wanted);

/* Makes ready what follow_rules() needs for them and grows with them, while the workers go on. */
void follow_built(void *live, const struct rules *rules);

/* Turns the fast path on or off, as rules want it, and as far as they fit it; and holds the sides
 * on which follow_check_new() couldn't check what is new. */
void follow_rules(void *live, const struct rules *rules);

/* Notes, where the kernel keeps it, what of a side's settings is to be set back one day. */
void follow_note_left(struct live *live, enum side side);

#endif
