/*
 * A word says whose the errand is: nobody's, the sender's as long as the doer hasn't come to it, or
 * the doer's. The semaphore is only what the sender sleeps by: a wake that comes late, of an errand
 * that he had given up, changes nothing.
 */
#include "errand.h"

#include <errno.h>

enum { ERRAND_NONE, ERRAND_WAITS, ERRAND_BEGUN };

void errand_init(struct errand *errand)
{
	atomic_init(&errand->state, ERRAND_NONE);
	sem_init(&errand->done, 0, 0);
}

void errand_destroy(struct errand *errand)
{
	sem_destroy(&errand->done);
}

void errand_send(struct errand *errand)
{
	while (sem_trywait(&errand->done) == 0)
		; /* of one that was given up */
	atomic_store(&errand->state, ERRAND_WAITS);
}

static void sleep_until(struct errand *errand, const struct timespec *until)
{
	int err = 0;

	while (atomic_load(&errand->state) != ERRAND_NONE && (!err || errno == EINTR))
		err = sem_clockwait(&errand->done, CLOCK_MONOTONIC, until);
}

enum errand_end errand_wait(struct errand *errand, const struct timespec *begin_by,
                            const struct timespec *end_by)
{
	unsigned waits = ERRAND_WAITS;

	sleep_until(errand, begin_by);
	if (atomic_compare_exchange_strong(&errand->state, &waits, ERRAND_NONE))
		return ERRAND_NOT_BEGUN;
	sleep_until(errand, end_by);
	return errand_is_begun(errand) ? ERRAND_NOT_ENDED : ERRAND_DONE;
}

bool errand_is_begun(const struct errand *errand)
{
	return atomic_load(&errand->state) == ERRAND_BEGUN;
}

bool errand_begin(struct errand *errand)
{
	unsigned waits = ERRAND_WAITS;

	return atomic_load_explicit(&errand->state, memory_order_relaxed) == ERRAND_WAITS &&
	       atomic_compare_exchange_strong(&errand->state, &waits, ERRAND_BEGUN);
}

void errand_end(struct errand *errand)
{
	atomic_store(&errand->state, ERRAND_NONE);
	sem_post(&errand->done);
}
