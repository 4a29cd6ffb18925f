/*
 * Taking over the flows that another process left in the arrays of table.h.
 */
#ifndef LB_ADOPT_H
#define LB_ADOPT_H

#include "balance.h"

/* What became of what was found, in flows. */
struct adoption {
	bool done;            /* there was something that could be read */
	uint32_t open;        /* go on, as open or closing; half-open ones that do are among them */
	uint32_t quarantined; /* had ended, and keep their ports for a while */
	uint32_t half_open;   /* forgotten, unless they are kept: their clients begin again */
	uint32_t unfit;       /* their VIP, port, server or SNAT address is gone: will be reset */
	uint32_t damaged;     /* nothing that a flow could be, or one found twice: forgotten */
};

/*
 * Fills balance, which has been laid out over arrays that were kept, from the flows in them at tick
 * now. scratch is memory for the index while it is made, as large as that and aligned to
 * ARENA_ALIGN; a reader finds the old one until the new one is copied over it.
 * Half-open flows are forgotten, unless they are to be kept.
 */
void adopt_flows(struct balance *balance, void *scratch, bool keep_half_open, lb_time now,
                 struct adoption *ret);

/* Describes RSTs to the clients of unfit flows, which are forgotten with that, as far as out has
 * room. True if there are more. */
bool adopt_reset(struct balance *balance, struct own_list *out);

#endif
