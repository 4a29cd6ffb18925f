#include "clock.h"

#include <time.h>

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

uint64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t clock_wall_offset(void)
{
	return clock_wall() - read_clock(CLOCK_MONOTONIC);
}
