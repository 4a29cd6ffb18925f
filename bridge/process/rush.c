/*
 * By its fair share a thread among many gets a small part of a processor however much waits for it,
 * and nice values count only within a session or a control group (sched(7), autogroups). So it
 * becomes one of SCHED_FIFO, for which an unprivileged process needs RLIMIT_RTPRIO only; or
 * CAP_SYS_NICE, where it can't raise that limit.
 *
 * That must not cost the rest of the machine its turn. What comes may never end, a rush does: it is
 * paid for from an account of RUSH_LONGEST_MS, into which the times between flow, but only a
 * RUSH_RESTth of them. So for a long time a thread goes before others in one of RUSH_REST + 1 parts
 * of it at most. (And of each second the kernel itself keeps a twentieth for others by default:
 * sched_rt_runtime_us, or the fair server of Linux 6.12.)
 *
 * Up to Linux 6.4 it would hurt: there what the network's softirqs have left over for ksoftirqd, an
 * ordinary thread of each processor, has all that comes later wait for it, frames that the thread
 * itself sends among it; and these find no room while ksoftirqd doesn't get its turn.
 *
 * By system calls, as musl has no functions for these.
 */
#include "rush.h"

#include "limits.h"
#include "log.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { KERNEL_MAJOR = 6, KERNEL_MINOR = 5 };

#define LONGEST_NS (RUSH_LONGEST_MS * LB_NS_PER_MS)
#define LEAST_NS   (RUSH_LEAST_MS * LB_NS_PER_MS)
#define CALM_NS    (RUSH_CALM_MS * LB_NS_PER_MS)

/* The calling thread's policy becomes another one, if it is that. */
static int go_over(int from, int to, int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	if (syscall(SYS_sched_getscheduler, 0) != from)
		return -EBUSY;
	return syscall(SYS_sched_setscheduler, 0, to, &param) == 0 ? 0 : -errno;
}

static int begin(void)
{
	return go_over(SCHED_OTHER, SCHED_FIFO, RUSH_PRIORITY);
}

static int end(void)
{
	return go_over(SCHED_FIFO, SCHED_OTHER, 0);
}

/* No thread goes higher from now on. */
static int set_limit(void)
{
	const struct rlimit limit = {.rlim_cur = RUSH_PRIORITY, .rlim_max = RUSH_PRIORITY};

	return setrlimit(RLIMIT_RTPRIO, &limit) == 0 ? 0 : -errno;
}

/* If the kernel ends threads that go before others for long. */
static bool is_timed(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_RTTIME, &limit) < 0 || limit.rlim_cur != RLIM_INFINITY;
}

bool rush_suits(const char *release)
{
	unsigned major, minor;

	return sscanf(release, "%u.%u", &major, &minor) == 2 &&
	       (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR));
}

static bool suits_kernel(void)
{
	struct utsname kernel;

	return uname(&kernel) == 0 && rush_suits(kernel.release);
}

int rush_allow(struct rush_leave *ret)
{
	const unsigned n = limits_processors();
	int err;

	*ret = (struct rush_leave){0};
	if (n < 2 || !suits_kernel() || is_timed() ||
	    syscall(SYS_sched_getscheduler, 0) != SCHED_OTHER)
		return 0;
	ret->takes_nice = set_limit() < 0;
	err = begin(); /* to see if that is all it takes */
	if (!err)
		err = end();
	if (!err)
		ret->threads = n;
	return err;
}

void rush_open(struct rush *ret, bool may, lb_time now)
{
	*ret = (struct rush){.may = may, .since = now, .pressed = now, .left_ns = LONGEST_NS};
}

/* How long it might last from now on. */
static uint64_t left_ns(const struct rush *rush, lb_time now)
{
	const uint64_t passed = now.ns - rush->since.ns;
	const uint64_t had = rush->left_ns;

	if (rush->is_on)
		return passed < had ? had - passed : 0;
	return passed / RUSH_REST < LONGEST_NS - had ? had + passed / RUSH_REST : LONGEST_NS;
}

bool rush_turns(struct rush *rush, bool pressed, lb_time now)
{
	const uint64_t left = left_ns(rush, now);
	bool is_due;

	if (pressed)
		rush->pressed = now;
	if (rush->is_on)
		is_due = left && now.ns - rush->pressed.ns < CALM_NS;
	else
		is_due = pressed && rush->may && left >= LEAST_NS;
	if (is_due == rush->is_on)
		return false;
	rush->is_on = is_due;
	rush->since = now;
	rush->left_ns = left;
	rush->times += is_due;
	return true;
}

void rush_look(struct rush *rush, bool pressed, lb_time now)
{
	int err;

	if (!rush_turns(rush, pressed, now))
		return;
	err = rush->is_on ? begin() : end();
	if (!err)
		return;
	rush->may = rush->is_on = false;
	log_info("a worker goes before other threads no more: %s",
	         err == -EBUSY ? "somebody has scheduled it otherwise" : strerror(-err));
}
