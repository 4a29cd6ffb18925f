/*
 * A bundle, as `tmbridge capture --bundle` has written it: how things were when its captures began.
 */
#ifndef BRIDGE_RECALL_H
#define BRIDGE_RECALL_H

#include "worker/workers.h"

struct recall;

/*
 * Reads it from the directory. Returns 0 and sets *ret, or a negative errno with the reason logged.
 */
int recall_read(const char *directory, struct recall **ret);

/* recall may be NULL. */
void recall_free(struct recall *recall);

/* The addresses that the host had, where the mode is one in which it has some. Reads the bundle for
 * that alone. Returns 0, or a negative errno with the reason logged. */
int recall_host(const char *directory, struct rules_nets *ret);

const struct hash_key *recall_key(const struct recall *recall);
const struct share *recall_share(const struct recall *recall); /* of any of its workers */
const struct mac *recall_macs(const struct recall *recall);    /* by enum side */
lb_time recall_begun(const struct recall *recall);             /* when it was written */

/* Changes rules, before there are workers: servers get the states and weights that operators had
 * given them, and no server is probed. */
void recall_rules(const struct recall *recall, struct rules *rules);

/*
 * Gives the workers, which have just been made, the flows, the servers' places and verdicts. recall
 * must stay as long as they. Returns 0, or a negative errno with the reason logged.
 */
int recall_workers(struct recall *recall, struct workers *workers, lb_time now);

#endif
