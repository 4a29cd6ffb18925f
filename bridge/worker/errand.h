/*
 * What one thread has another one do, which comes to it when it can: a hand-over in which neither
 * holds a lock, so that the doer never waits for the sender, and the sender not for ever.
 */
#ifndef BRIDGE_ERRAND_H
#define BRIDGE_ERRAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

struct errand {
	atomic_uint state; /* whose it is: see errand.c */
};

enum errand_end {
	ERRAND_DONE,
	ERRAND_NOT_BEGUN, /* in time: it won't be done */
	ERRAND_NOT_ENDED, /* in time, though it was begun: it is still the doer's */
};

void errand_init(struct errand *errand);

/* By the sender, one at a time: errand_is_begun() must be false. */
void errand_send(struct errand *errand);

/* By the sender: waits until it is done, but for its begin and its end not longer than until these
 * times (of clock_in()). */
enum errand_end errand_wait(struct errand *errand, const struct timespec *begin_by,
                            const struct timespec *end_by);

/* If it has been begun, and hasn't ended. */
bool errand_is_begun(const struct errand *errand);

/* By the doer: if there is something to be done, after which errand_end() is due. */
bool errand_begin(struct errand *errand);
void errand_end(struct errand *errand);

#endif
