/*
 * The connection log: a JSON line for each flow that ended.
 */
#ifndef BRIDGE_CONNLOG_H
#define BRIDGE_CONNLOG_H

#include "../../lb/ended.h"
#include "../../lb/rules.h"

struct connlog;

struct connlog_counts {
	uint64_t written, lost; /* lines */
};

/*
 * Opens the logs that rules ask for, for that many workers. With a writer thread (live) lines wait
 * for the disk in queues, and nobody else does; without (offline) connlog_put() writes. before, if
 * not NULL, is the one that connlog_replace() will be called with; it goes on as it is. Sets *ret,
 * to NULL if there are no logs and none before. Returns 0, or a negative errno with the reason
 * logged: for a pipe that nobody reads ENXIO. A log that only farms want which are gone may fail to
 * open.
 */
int connlog_open(const struct rules *rules, unsigned nqueues, bool threaded, struct connlog *before,
                 struct connlog **ret);

/*
 * Puts connlog in the place of before, which then belongs to it, and to which nobody may put any
 * more: what waits in it is still written. Doesn't wait. before may be NULL.
 */
void connlog_replace(struct connlog *connlog, struct connlog *before);

/* Writes all that waits, and closes. connlog may be NULL. */
void connlog_close(struct connlog *connlog);

/*
 * Queues the line of a flow of rules, those of connlog_open(), or counts it lost. Doesn't wait.
 * Each worker has a queue of its own. connlog may be NULL.
 */
void connlog_put(struct connlog *connlog, unsigned queue, const struct rules *rules,
                 const struct ended *ended);

/*
 * At the end: waits until that queue is empty. All calls together wait for CONNLOG_DRAIN_MS at
 * most: a disk that hangs doesn't do so for each worker anew. connlog may be NULL.
 */
void connlog_drain(struct connlog *connlog, unsigned queue);

struct connlog_counts connlog_counts(const struct connlog *connlog);

#endif
