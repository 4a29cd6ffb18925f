/*
 * On Linux nice values are threads', though POSIX has them of processes. Whoever lowers his
 * priority may raise it again as far as RLIMIT_NICE lets him (getrlimit(2)), which is 20 less the
 * nice value, and by default not at all: who can't return doesn't go.
 *
 * Only these two values are ever set, and none in the place of a third one: what somebody from
 * outside has given the thread (renice) stays.
 */
#include "priority.h"

#include "log.h"

#include <sys/resource.h>

enum { PRIORITY_RLIMIT = 20 /* less a nice value */ };

/* The calling thread's. */
static int get(void)
{
	return getpriority(PRIO_PROCESS, 0);
}

static int set(int nice_value)
{
	return setpriority(PRIO_PROCESS, 0, nice_value);
}

void priority_open(struct priority *ret)
{
	struct rlimit limit;

	*ret = (struct priority){.own = get()};
	if (getrlimit(RLIMIT_NICE, &limit) < 0)
		return;
	ret->may_return = limit.rlim_cur >= (rlim_t)(PRIORITY_RLIMIT - ret->own);
	if (ret->may_return)
		return;
	limit.rlim_cur = (rlim_t)(PRIORITY_RLIMIT - ret->own);
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	ret->may_return = setrlimit(RLIMIT_NICE, &limit) == 0;
	if (!ret->may_return)
		log_debug("lists of flows are made at the priority of all else: RLIMIT_NICE");
}

void priority_lower(struct priority *priority)
{
	if (priority->may_return && get() == priority->own)
		priority->is_lowered = set(PRIORITY_LOWEST) == 0;
}

void priority_return(struct priority *priority)
{
	const bool was_lowered = priority->is_lowered;

	priority->is_lowered = false;
	if (!was_lowered || get() != PRIORITY_LOWEST || set(priority->own) == 0)
		return;
	priority->may_return = false;
	log_warning("the control thread stays at the lowest priority: %m");
}

void priority_give_up(void)
{
	set(PRIORITY_LOWEST);
}
