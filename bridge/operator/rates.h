/*
 * How fast things happen: of the last second or so.
 */
#ifndef BRIDGE_RATES_H
#define BRIDGE_RATES_H

#include "snapshot.h"

enum { RATES_EVERY_MS = 1000 };

struct rates {
	struct snapshot from, to; /* rules are NULL: not taken yet */
	uint64_t generation;      /* of the workers' rules that both are of */
	lb_time next;
};

/* Takes a snapshot if a second has passed since the last one; started is when the workers began. */
void rates_look(struct rates *rates, struct crew *crew, lb_time started, lb_time now);
void rates_free(struct rates *rates);

/* If rates are known for the rules that the workers have now. */
bool rates_are_known(const struct rates *rates, const struct crew *crew);

/* How much a counter grew in a second that was `from` in rates->from and is `to` in rates->to. */
double rates_of(const struct rates *rates, uint64_t from, uint64_t to);

#endif
