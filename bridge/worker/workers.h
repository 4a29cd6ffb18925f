/*
 * All workers of the process, and what they have in common: the rules and the connection log.
 */
#ifndef BRIDGE_WORKERS_H
#define BRIDGE_WORKERS_H

#include "worker.h"

struct workers {
	struct worker *worker;
	unsigned n;
	struct inbox **inboxes; /* by worker; only live */
	struct rules *rules;
	struct connlog *connlog;
	struct fastpath *fastpath; /* or NULL */
	uint64_t generation;       /* of the rules: how often there were others */
	bool live;                 /* the connection log has a writer thread */
};

/* How many workers the rules ask for here: at least 1. */
unsigned workers_wanted(const struct rules *rules);

/* If all connections of a client address must be at one worker: some farm persists. */
bool workers_keep_clients(const struct rules *rules);

/* The share of worker of n: see share_make(). */
struct share workers_share(const struct rules *rules, unsigned worker, unsigned n,
                           const struct hash_key *key);

/* A worker's two ports, by enum side. */
typedef struct port *workers_ports[NSIDES];

/*
 * Makes as many workers as share, any worker's, is of; each with its own ports, which must stay, as
 * must fastpath, which may be NULL; and takes all memory. Flows that were left in fastpath go on,
 * which is logged. rules belong to the workers if it succeeds. Returns 0, or a negative errno with
 * the reason logged; then there is nothing to free.
 */
int workers_init(struct workers *workers, struct rules *rules, const struct hash_key *key,
                 const workers_ports *ports, const struct share *share, struct fastpath *fastpath,
                 bool live, lb_time now);
void workers_free(struct workers *workers);

/* What has become of flows that were found, those of all workers. */
struct adoption workers_adoption(const struct workers *workers);

/* To be called at the end, when no worker is running: records flows as worker_finish() does, for
 * all workers. Waits for the connection log. */
void workers_finish(struct workers *workers, bool go_on, lb_time now);

/* Notes for the probes which servers that are disabled or gone have flows. To be called now and
 * then. */
void workers_note_flows(const struct workers *workers);

/* If an address that a reload has taken out of the file is still ours though no flow has it any
 * more: then another reload would give it up. */
bool workers_keep_in_vain(const struct workers *workers);

struct workers_next;

/*
 * For a reload: begins what follows upon workers. Adds to rules what is in use of those before and
 * isn't in them. rules are taken over, and freed on failure. keep_all: all SNAT addresses that
 * there are stay ours, whether used or not, so that none can come into use meanwhile. Returns 0 and
 * sets *ret, or a negative errno.
 */
int workers_follow(const struct workers *workers, struct rules *rules, bool keep_all,
                   struct workers_next **ret);

/* The rules that it is of: with what was taken over. They may be added to until workers_build(). */
struct rules *workers_next_rules(const struct workers_next *next);

/* Makes all that the rules of next ask for, the connection log included, while the workers go on.
 * Returns 0, or a negative errno: then next is only good for workers_discard(). */
int workers_build(const struct workers *workers, struct workers_next *next, lb_time now);

/*
 * Has the workers go over to next, without losing a frame or a flow. No worker may be running.
 * Returns 0, or -EAGAIN with nothing changed, if a server that isn't in the rules any more has got
 * its first flow since.
 */
int workers_swap(struct workers *workers, struct workers_next *next, lb_time now);

/* Frees next: what was made, or after workers_swap() what the workers had before. */
void workers_discard(struct workers_next *next);

#endif
