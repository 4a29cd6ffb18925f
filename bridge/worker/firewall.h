/*
 * The [filter NAME]s of lb.ini, in the order that they stand in: what is done with a frame before
 * the engine sees it.
 */
#ifndef BRIDGE_FIREWALL_H
#define BRIDGE_FIREWALL_H

#include "../fastpath/fastpath.h"
#include "../port/port.h"
#include "../../lb/lb.h"

struct firewall;

/*
 * What a filter has done since the start, in packets: a merged frame is as many as it was made of.
 */
struct firewall_counts {
	uint64_t matched; /* all that it matched */
	uint64_t over;    /* of these, those above its rate */
	uint64_t dropped; /* of these, those that went no further: dropped, or reset */
	lb_time last;     /* when it matched last, if matched isn't 0 */
};

/*
 * Whether the filter's expression can be compiled: 0; or -EINVAL, with libpcap's words, and maybe
 * more, in why, of size bytes; or -ENOMEM.
 */
int firewall_check(const struct rules_filter *filter, char *why, size_t size);

/*
 * Makes the filters of rules, which must stay, for the worker of that share: of a rate it has its
 * part. Returns 0 and sets *ret, to NULL if there are none; or a negative errno.
 */
int firewall_new(const struct rules *rules, const struct share *share, lb_time now,
                 struct firewall **ret);
void firewall_free(struct firewall *firewall);

/* Takes over counts and limits of the filters with the same names. Either may be NULL. */
void firewall_inherit(struct firewall *firewall, const struct firewall *old);

/*
 * Has the filters judge a frame, which the port of that name has received. True if it goes on to
 * lb. Else *ret is its verdict, which lb has counted.
 */
bool firewall_lets(struct firewall *firewall, struct lb *lb, const char *port, struct frame *frame,
                   lb_time now, struct verdict *ret);

/* The same where the kernel's programs have the filters (fastpath_filters()), which leave only
 * resets to us, and have counted them: true if the frame is one to be reset, and doesn't go on. */
bool firewall_resets(struct firewall *firewall, struct lb *lb, struct frame *frame, lb_time now,
                     struct verdict *ret);

/* Logs frames that the filters in the kernel have kept for the log. firewall and fastpath may be
 * NULL. */
void firewall_log(struct firewall *firewall, struct fastpath *fastpath,
                  struct port *const ports[NSIDES], lb_time now);

/* Of the filter with that number; zeros if firewall is NULL. */
struct firewall_counts firewall_counts(const struct firewall *firewall, unsigned filter);

#endif
