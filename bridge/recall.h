/*
 * A bundle, as `tmbridge capture --bundle` has written it: how things were when its captures began.
 */
#ifndef BRIDGE_RECALL_H
#define BRIDGE_RECALL_H

#include "worker/worker.h"

struct recall;

/* Reads it from the directory. Returns 0 and sets *ret, or a negative errno with the reason logged.
 */
int recall_read(const char *directory, struct recall **ret);

/* recall may be NULL. */
void recall_free(struct recall *recall);

/* The addresses that the host had, where the mode is one in which it has some. Reads the bundle for
 * that alone. Returns 0, or a negative errno with the reason logged. */
int recall_host(const char *directory, struct rules_nets *ret);

const struct hash_key *recall_key(const struct recall *recall);
const struct mac *recall_macs(const struct recall *recall); /* by enum side */

/* Before there is a worker: servers are what operators had made of them, and nobody checks them. */
void recall_rules(const struct recall *recall, struct rules *rules);

/*
 * Gives a worker, which has just been made, the flows, the servers' places and verdicts. recall
 * must stay as long as it. Returns 0, or a negative errno with the reason logged.
 */
int recall_worker(struct recall *recall, struct worker *worker, lb_time now);

#endif
