/*
 * A word says whose the errand is: nobody's, the sender's as long as the doer hasn't come to it, or
 * the doer's. The sender sleeps by it as well: a wake that comes late, of an errand that he had
 * given up, changes nothing.
 */
#include "errand.h"

#include "../process/futex.h"

enum { ERRAND_NONE, ERRAND_WAITS, ERRAND_BEGUN };

void errand_init(struct errand *errand)
{
	atomic_init(&errand->state, ERRAND_NONE);
}

void errand_send(struct errand *errand)
{
	atomic_store(&errand->state, ERRAND_WAITS);
}

static void sleep_until(struct errand *errand, const struct timespec *until)
{
	unsigned state;

	while ((state = atomic_load(&errand->state)) != ERRAND_NONE &&
	       futex_wait(&errand->state, state, until))
		;
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
	futex_wake(&errand->state);
}
