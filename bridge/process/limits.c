/*
 * To be called before the process gives up the capability that raising a limit needs.
 */
#include "limits.h"

#include "log.h"
#include "../../lb/rules.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

/* Two logs for each farm and for each that is gone, and what else there is: ports and the like. */
enum { LIMITS_FILES = 4 * RULES_FARMS_MAX + 1024 };

/* Twice what a reload takes, which is the most; threads get as much as the process has. */
enum { LIMITS_STACK_KIB = 1024 };

int limits_check_stack(void)
{
	struct rlimit stack;

	if (getrlimit(RLIMIT_STACK, &stack) < 0 || stack.rlim_cur >= LIMITS_STACK_KIB << 10)
		return 0;
	log_error("the stack is limited to %llu KiB: %u are needed (ulimit -s %u)",
	          (unsigned long long)stack.rlim_cur >> 10, LIMITS_STACK_KIB, LIMITS_STACK_KIB);
	return -ENOMEM;
}

void limits_raise(void)
{
	struct rlimit was, limit;

	if (getrlimit(RLIMIT_NOFILE, &was) < 0 || was.rlim_cur >= LIMITS_FILES)
		return;
	limit.rlim_cur = LIMITS_FILES;
	limit.rlim_max = was.rlim_max > LIMITS_FILES ? was.rlim_max : LIMITS_FILES;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return;
	limit.rlim_cur = limit.rlim_max = was.rlim_max; /* what anybody may */
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		log_debug("open files: limited to %llu", (unsigned long long)was.rlim_max);
}

unsigned limits_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}
