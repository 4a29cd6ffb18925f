/*
 * What time, and servers that are down or gone, do to balanced connections.
 */
#ifndef LB_EXPIRE_H
#define LB_EXPIRE_H

#include "balance.h"

enum { EXPIRE_RESETS_MAX = 4 }; /* own frames that the end of one flow asks for, at most */

/*
 * Describes RSTs that the end believes (RFC 5961, 3.2): with the number that it expects next if all
 * has arrived, and if something may still be missing, also with the last one that it acknowledged.
 */
void expire_reset(struct balance *balance, uint32_t flow, enum end to, struct own_list *out);

/* Ends the flow as an operator wants it, out having room for EXPIRE_RESETS_MAX. False if it isn't
 * live. */
bool expire_wanted(struct balance *balance, uint32_t flow, lb_time now, struct own_list *out);

/*
 * Ends what has expired. Each flow is looked at once a second: call it often, and a call does the
 * share of the table that the time since the last call asks for, or less if out has no more room:
 * then it returns false.
 */
bool expire_due(struct balance *balance, lb_time now, struct own_list *out);

/* Sees to it that each flow is looked at once more, in the next second that expire_due() is called
 * in: their timeouts have changed. */
void expire_look_again(struct balance *balance);

/* Sees to it that the flows of a server that is down, or of farms that are gone, are reset. */
void expire_start_reaping(struct balance *balance);

/* Goes on with that, as far as out has room; a call takes bounded time. True if there is more to
 * do. */
bool expire_reap(struct balance *balance, lb_time now, struct own_list *out);

/* Resets the ends of flows that were ended for their clients' limits, as far as out has room. True
 * if there are more. */
bool expire_doomed(struct balance *balance, struct own_list *out);

#endif
