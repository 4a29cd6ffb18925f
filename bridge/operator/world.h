/*
 * What requests are about, as those above have it.
 */
#ifndef BRIDGE_WORLD_H
#define BRIDGE_WORLD_H

#include "../worker/crew.h"

struct world {
	struct crew *crew;
	const char *const *names; /* of the interfaces, by enum side */
	const char *config;       /* the file's path */
	lb_time started;          /* by clock_now() */
};

#endif
