/*
 * The packet loop: a thread in which one worker runs.
 */
#ifndef BRIDGE_LOOP_H
#define BRIDGE_LOOP_H

#include "worker.h"

#include <time.h>

struct loop;

/*
 * Starts a thread in which worker, whose ports are packet ports, does its work from now on; inbox
 * is its, also if it is the only one. Returns 0 and sets *ret, or a negative errno with the reason
 * logged.
 */
int loop_start(struct worker *worker, struct inbox *inbox, struct loop **ret);

/* Ends the thread after the burst that it is at, and frees loop, which may be NULL. */
void loop_stop(struct loop *loop);

/*
 * Something to be done to a worker between two bursts, by its own thread: it must not wait, and
 * take little time. True if there is more to be done: then it is called again, after other bursts,
 * unless the thread has to stand still.
 */
typedef bool loop_errand(struct worker *worker, void *ctx, lb_time now);

/*
 * loop_send() has the thread do an errand soon; loop_wait_done() waits until it is done, but for
 * its begin and its end not longer than to these times (of clock_in()). False if the thread hasn't
 * begun by then: then it won't do it; or hasn't ended it: then loop_has(), and ctx is its,
 * until it has. In either case the loop counts as stuck until its thread has been through a round.
 * One errand at a time, from one thread, and not to a loop that is stuck or paused.
 */
void loop_send(struct loop *loop, loop_errand *what, void *ctx);
bool loop_wait_done(struct loop *loop, const struct timespec *begin_by,
                    const struct timespec *end_by);
bool loop_has(const struct loop *loop, const void *ctx);
bool loop_is_stuck(const struct loop *loop);

/*
 * loop_pause() asks the thread to stand still after the burst that it is at, loop_wait_paused()
 * waits until it does, or until that time (of clock_in()), when it is false: if it does its worker
 * is the caller's, until loop_resume(). Frames wait in the sockets meanwhile. In two steps so that
 * several threads come to a stop together; loop may be NULL in all of them.
 */
void loop_pause(struct loop *loop);
bool loop_wait_paused(struct loop *loop, const struct timespec *until);
void loop_resume(struct loop *loop);

/*
 * Whether the thread has been through a round since loop_see(); one that sleeps does so every
 * 50 ms. For one thread, of those that aren't the loop's.
 */
bool loop_has_moved(struct loop *loop);
void loop_see(struct loop *loop);

#endif
