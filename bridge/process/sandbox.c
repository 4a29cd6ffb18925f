/*
 * The ways out of the process are shut in this order: user and capabilities; files, by Landlock;
 * system calls, by seccomp, which would not let the others happen.
 *
 * All three are a thread's own, and what it starts inherits them: so they come before the first
 * thread. They also come before the first frame is read, and before the memory and the connection
 * logs are taken: a reload has to do that from within as well.
 */
#include "sandbox.h"

#include "landlock.h"
#include "log.h"
#include "syscalls.h"
#include "user.h"

#include <linux/capability.h>
#include <time.h>

/* For an interface that is made anew: its packet socket, and the socket's buffers. For both: their
 * links and settings, which are put back at the end; and with CAP_BPF the program that filters
 * become at a reload; with CAP_SYS_NICE a thread goes before others. */
#define CAPABILITIES (UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_NET_ADMIN)

int sandbox_enter(const struct sandbox *sandbox)
{
	const struct files *files = &sandbox->files;
	const uint64_t kept = CAPABILITIES | (sandbox->programs ? UINT64_C(1) << CAP_BPF : 0) |
	                      (sandbox->nice ? UINT64_C(1) << CAP_SYS_NICE : 0);
	struct user user;
	int err;

	if ((err = user_choose(sandbox->user, files, &user)) < 0 ||
	    (err = user_become(&user, kept, files)) < 0)
		return err;
	log_debug("runs as user %s", user.name);
	tzset(); /* gmtime_r() would read the time zone's file when it is first called */
	err = landlock_enter(files);
	return err < 0 ? err
	               : syscalls_limit(sandbox->ports, sandbox->nports, sandbox->listeners,
	                                sandbox->nlisteners, sandbox->programs);
}
