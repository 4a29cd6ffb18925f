#include "clock.h"

#include <pthread.h>

enum { OFFSET_READS = 8, OFFSET_NS = 2000 /* a pair that took no longer is good enough */ };

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * LB_NS_PER_S + (uint64_t)t.tv_nsec;
}

lb_time clock_now(void)
{
	return (lb_time){read_clock(CLOCK_MONOTONIC)};
}

uint64_t clock_used(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void clock_condition(pthread_cond_t *ret)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(ret, &attr);
	pthread_condattr_destroy(&attr);
}

struct timespec clock_in(uint64_t ns)
{
	const uint64_t at = clock_now().ns + ns;

	return (struct timespec){.tv_sec = (time_t)(at / LB_NS_PER_S),
	                         .tv_nsec = (long)(at % LB_NS_PER_S)};
}

uint64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

/* Whoever reads two clocks may stand still between them: of several pairs the one that was read
 * fastest is right within the time that this took. */
uint64_t clock_wall_offset(void)
{
	uint64_t least = UINT64_MAX, offset = 0;

	for (unsigned i = 0; i < OFFSET_READS && least > OFFSET_NS; i++) {
		const uint64_t before = read_clock(CLOCK_MONOTONIC);
		const uint64_t wall = read_clock(CLOCK_REALTIME);
		const uint64_t took = read_clock(CLOCK_MONOTONIC) - before;

		if (took >= least)
			continue;
		least = took;
		offset = wall - before;
	}
	return offset;
}
