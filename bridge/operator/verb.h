/*
 * What verbs have in common: how they begin, and what they may do when a worker doesn't move.
 */
#ifndef BRIDGE_VERB_H
#define BRIDGE_VERB_H

#include "client.h"
#include "snapshot.h"
#include "../process/quantity.h"

/*
 * Begins to answer a request; the words of the verb itself are no longer in it. It ends the answer,
 * or leaves client->go to do so.
 */
typedef void verb_begin(struct world *world, struct client *client, struct request *request,
                        lb_time now);

/*
 * To be called when a worker doesn't move. The control thread doesn't wait for it: it begins the
 * request anew, or goes on with the answer, in later turns until the worker moves; after
 * VERB_LATE_MS it ends the answer as failed.
 */
enum { VERB_LATE_MS = 2000 };
void verb_stall(struct client *client, lb_time now);

/* Ends the answer as failed for that reason, at once. */
void verb_give_up(struct client *client);

/* If a word of the request was left over: then the answer is ended as failed. */
bool verb_too_much(struct client *client, const struct request *request);

/* Sets *ret to what text says of a quantity; false if it may not be that: then the answer is ended
 * as failed. */
bool verb_quantity(struct client *client, enum quantity quantity, const char *text, uint64_t *ret);

/* Takes a snapshot, for the caller to free. Returns false if it can't: the answer has been ended as
 * failed, or is put off. */
bool verb_snapshot(struct world *world, struct client *client, lb_time now, struct snapshot *ret);

/* Ends the flows that a filter means, and the answer after all that has been said. */
void verb_end_flows(struct world *world, struct client *client, const struct request *request,
                    lb_time now);

/* Frees what captures have left as a worker didn't move, if they all do again. */
void verb_tidy(struct world *world);

/* The verbs, by the files that have them. */
verb_begin verb_status, verb_version, verb_events, verb_flows, verb_flow_reset, verb_who,
        verb_metrics;
verb_begin verb_capture, verb_wire_bypass, verb_wire_on, verb_server_health;
verb_begin verb_server_drain, verb_server_disable, verb_server_enable, verb_server_weight;
verb_begin verb_farm_drain, verb_farm_enable, verb_reload, verb_config_show, verb_config_diff;

#endif
