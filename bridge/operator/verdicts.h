/*
 * Verdicts on servers that operators give, each for a while.
 */
#ifndef BRIDGE_VERDICTS_H
#define BRIDGE_VERDICTS_H

#include "../worker/crew.h"

enum { VERDICTS_MAX = 64, VERDICT_WHY_BYTES = 48 };

struct verdict_given {
	char server[RULES_NAME_BYTES];
	lb_time until; /* by clock_now(): when it is taken back */
};

struct verdicts {
	struct verdict_given all[VERDICTS_MAX];
	unsigned n;
};

/*
 * Gives a server a verdict until that time, instead of what probes say; why is noted as what
 * failed. Returns 0, -ENOENT, -ENOMEM, -ENOSPC if there are too many, or -ETIMEDOUT if a worker
 * doesn't move: then some have it.
 */
int verdicts_give(struct verdicts *verdicts, struct crew *crew, const char *server,
                  enum health_verdict verdict, const char *why, lb_time until);

/* Takes back those whose time is over; from workers who don't move later. */
void verdicts_expire(struct verdicts *verdicts, struct crew *crew, lb_time now);

#endif
