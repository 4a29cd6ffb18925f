/*
 * The verbs: what a request can be.
 */
#ifndef BRIDGE_VERBS_H
#define BRIDGE_VERBS_H

#include "client.h"
#include "snapshot.h"

/*
 * Begins to answer a request; the words of the verb itself are no longer in it. It ends the answer,
 * or leaves client->go to do so.
 */
typedef void verb_begin(struct world *world, struct client *client, struct request *request,
                        lb_time now);

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

/*
 * To be called when a worker doesn't move. The control thread doesn't wait for it: it begins the
 * request anew, or goes on with the answer, in later turns until the worker moves; after
 * VERBS_LATE_MS it ends the answer as failed.
 */
enum { VERBS_LATE_MS = 2000 };
void verbs_stall(struct client *client, lb_time now);

/* Ends the answer so at once. */
void verbs_give_up(struct client *client);

/* If a word of the request was left over: then the answer is ended as failed. */
bool verbs_too_much(struct client *client, const struct request *request);

/* Takes a snapshot, for the caller to free. Returns false if it can't: the answer has been ended as
 * failed, or is put off. */
bool verbs_snapshot(struct world *world, struct client *client, lb_time now, struct snapshot *ret);

/* Ends the flows that a filter means, and the answer after all that has been said. */
void verbs_end_flows(struct world *world, struct client *client, const struct request *request,
                     lb_time now);

/* Frees what captures have left as a worker didn't move, if they all do again. */
void verbs_tidy(struct world *world);

/* The verbs, by the files that have them. */
verb_begin verb_status, verb_version, verb_events, verb_flows, verb_flow_reset, verb_who,
        verb_metrics;
verb_begin verb_capture, verb_wire_bypass, verb_wire_on, verb_server_health;
verb_begin verb_server_drain, verb_server_disable, verb_server_enable, verb_server_weight;
verb_begin verb_farm_drain, verb_farm_enable, verb_reload, verb_config_show, verb_config_diff;

#endif
