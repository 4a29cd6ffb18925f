/*
 * Whether our addresses are free, and on which sides they are used.
 */
#ifndef BRIDGE_ADDRESSES_H
#define BRIDGE_ADDRESSES_H

#include "instance.h"

/* Those of sides (1 << side) that have a carrier. */
unsigned addresses_with_carrier(const struct live *live, unsigned sides);

/*
 * Whether nobody has the addresses of rules on *sides. Leaves those sides in *sides on which that
 * was found out: not one whose link went down meanwhile. Returns 0, or a negative errno with the
 * reason logged. The second is a reload's: of the addresses that aren't in before, on all sides, of
 * which only those that are held may have no carrier.
 */
int addresses_check(struct live *live, unsigned *sides, const struct rules *rules);
int addresses_check_new(struct live *live, const struct rules *rules, const struct rules *before);

/*
 * addresses_check_first() does the same for as many addresses as can be checked in a short time,
 * and sets *ret_more if others are left. addresses_check_rest() checks those while the workers run;
 * then all addresses come into use on the sides that were held for that.
 */
int addresses_check_first(struct live *live, unsigned *sides, const struct rules *rules,
                          bool *ret_more);
int addresses_check_rest(struct live *live);

/*
 * The sides (1 << side) without a carrier, if rules have addresses that no earlier process had:
 * there these can't be checked, so that the sides must be held. The second one logs that, and has
 * them wait for a link that comes up.
 */
unsigned addresses_unchecked(const struct live *live, const struct rules *rules);
void addresses_wait(struct live *live, unsigned sides);

/*
 * Has the workers use our addresses nowhere on these sides; they must stand still, or not run yet.
 * addresses_look() is to be called now and then: it checks again if the addresses are free there,
 * and has them used if so.
 */
void addresses_hold(struct live *live, unsigned sides);
void addresses_look(struct live *live);

/* Sets what is readable when addresses_look() might have something to do before its time. */
struct pollfd;
void addresses_poll(const struct live *live, struct pollfd ret[NSIDES]);

/* Has those of held sides checked again soon: they may be others than before. */
void addresses_follow_rules(struct live *live);

/*
 * Checks our addresses on sides whose link has come up. Those that are in use already stay so
 * whatever is found, which is logged. Others are used once somebody has been heard there, unless
 * another host has them.
 */
void addresses_link_up(struct live *live, unsigned sides);

#endif
