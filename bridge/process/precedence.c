#include "precedence.h"

#include "log.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

static bool is_taken;

static bool are_several_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 1;
}

void precedence_take(void)
{
	if (!are_several_processors() || getpriority(PRIO_PROCESS, 0) != 0)
		return;
	if (setpriority(PRIO_PROCESS, 0, PRECEDENCE_NICE) == 0)
		is_taken = true;
	else
		log_debug("nice value %d: %s", PRECEDENCE_NICE, strerror(errno));
}

void precedence_give_up(void)
{
	if (is_taken)
		setpriority(PRIO_PROCESS, 0, 0);
}
