/*
 * Of a bundle: whose turn it was of the servers and of their SNAT ports.
 */
#ifndef BRIDGE_RECALL_TURNS_H
#define BRIDGE_RECALL_TURNS_H

#include "recall_lines.h"
#include "worker/worker.h"

/* A line of one server and worker, without its first word, is added to turns; false if it is
 * none. */
bool recall_take_turn(struct growing *turns, char *rest);
void recall_free_turns(struct growing *turns);

/* Has the worker go on with the turns that are his, of servers that his rules have. */
void recall_turns(const struct growing *turns, struct worker *worker);

#endif
