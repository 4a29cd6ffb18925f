/*
 * The verbs: what a request can be.
 */
#ifndef BRIDGE_VERBS_H
#define BRIDGE_VERBS_H

#include "verb.h"

/* What a verb needs of the workers: nothing, an errand of each, or that all stand still. */
enum verb_takes { TAKES_NONE, TAKES_ERRANDS, TAKES_STOP };

struct verb {
	const char *name, *second; /* "server", "drain"; second may be NULL */
	bool changes;              /* something: only by the control socket, and logged */
	enum verb_takes takes;
	verb_begin *begin;
};

/* Begins to answer a line, which is written to. */
void verbs_ask(struct world *world, struct client *client, char *line, lb_time now);

#endif
