/*
 * What requests read and change of the process, as live.c puts it together.
 */
#ifndef BRIDGE_WORLD_H
#define BRIDGE_WORLD_H

#include "overrides.h"
#include "rates.h"
#include "verdicts.h"
#include "../process/priority.h"
#include "../worker/crew.h"
#include "../../cfg/cfg.h"

struct capture_of;

struct world {
	struct crew *crew;
	const char *const *names;    /* of the interfaces, by enum side */
	const char *config;          /* the file's path */
	struct overrides *overrides; /* what operators have changed */
	const struct cfg_text *text; /* of the file, as it is in force */
	/* reads the file again, or puts overrides in force. 0, or a negative errno with the reason
	 * logged */
	int (*reload)(void *ctx, bool from_file);
	void *ctx;
	bool bypass; /* nothing is balanced */
	struct verdicts verdicts;
	struct capture_of *capture; /* the capture that is going on; or NULL */
	struct capture_of *left;    /* captures that are over, but that a worker may still have */
	struct rates rates;
	lb_time started; /* by clock_now() */
	lb_time viewers; /* when viewers may go over the flows again: verb_flows.c */
	struct priority priority;
};

#endif
