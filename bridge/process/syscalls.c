/*
 * The system calls that are left, by libseccomp.
 *
 * An allow-list. What isn't on it fails with EPERM rather than kill: a wire that goes on is worth
 * more than a process that a violation ends, and an attacker is left with the same nothing. There
 * is no way to another process or program, and to no sockets but packet sockets.
 *
 * A filter sees descriptors and flags, but not what a pointer points to, such as the address in
 * bind(). So new sockets are bound only in the place of those that there were at the start.
 *
 * Calls that are allowed whatever their arguments cost no run of the filter, as the kernel (5.11
 * on) keeps a bitmap of them; all of the packet path is of this kind.
 */
#include "syscalls.h"

#include "log.h"
#include "priority.h"
#include "sanitized.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const int plain[] = {
        /* the packet path */
        SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg), SCMP_SYS(poll), SCMP_SYS(ppoll),
        SCMP_SYS(sendmsg), /* musl's sendmmsg() is a loop of these */
        SCMP_SYS(clock_gettime), SCMP_SYS(futex), SCMP_SYS(read), SCMP_SYS(write),
        /* time, where the vDSO has none */
        SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
        /* statistics of the ports */
        SCMP_SYS(getsockopt),
        /* rtnetlink */
        SCMP_SYS(sendto), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
        /* files: lb.ini, statistics, connection log, settings of interfaces */
        SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(stat),
        SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(ftruncate),
        SCMP_SYS(readv), SCMP_SYS(writev), /* musl's stdio */
        SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(rename), SCMP_SYS(renameat),
        SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
        /* memory; mmap() and mprotect() below */
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(getrandom),
        /* threads, with what wakes them; clone() below, and clone3() isn't there */
        SCMP_SYS(clone3), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall), SCMP_SYS(gettid),
        SCMP_SYS(getpid), SCMP_SYS(eventfd2), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
        SCMP_SYS(getpriority), SCMP_SYS(sched_getscheduler), SCMP_SYS(exit), SCMP_SYS(exit_group)};

/* AddressSanitizer: its stacks, its report, and the search for leaks by a process that shares the
 * memory. */
static const int plain_sanitized[] = {
        SCMP_SYS(sigaltstack), SCMP_SYS(prlimit64),  SCMP_SYS(getrlimit),
        SCMP_SYS(readlink),    SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
        SCMP_SYS(getdents),    SCMP_SYS(prctl),      SCMP_SYS(ptrace),
        SCMP_SYS(wait4),       SCMP_SYS(getppid),    SCMP_SYS(process_vm_readv)};

struct call {
	int number;
	unsigned argument;
	enum scmp_compare compare;
	scmp_datum_t a, b;
};

#define HAS(argument, bits)     argument, SCMP_CMP_MASKED_EQ, bits, bits
#define HAS_NOT(argument, bits) argument, SCMP_CMP_MASKED_EQ, bits, 0
#define IS(argument, value)     argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, value

static int add_calls(scmp_filter_ctx filter, const struct call *calls, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		const struct call *c = &calls[i];
		const struct scmp_arg_cmp compare = {c->argument, c->compare, c->a, c->b};

		err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, c->number, 1, &compare);
	}
	return err;
}

/* To open a port anew. */
static int add_port(scmp_filter_ctx filter, int fd)
{
	const struct call calls[] = {
	        {SCMP_SYS(dup3), IS(1, (scmp_datum_t)fd)},
	        {SCMP_SYS(bind), IS(0, (scmp_datum_t)fd)},
	};

	return add_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));
}

/* To take a connection. */
static int add_listener(scmp_filter_ctx filter, int fd)
{
	const struct call call = {SCMP_SYS(accept4), IS(0, (scmp_datum_t)fd)};

	return add_calls(filter, &call, 1);
}

/* To load a program into the kernel, and nothing else that bpf() does. */
static int add_programs(scmp_filter_ctx filter)
{
	const struct call call = {SCMP_SYS(bpf), IS(0, BPF_PROG_LOAD)};

	return add_calls(filter, &call, 1);
}

static int add_nice_value(scmp_filter_ctx filter, int nice_value)
{
	const struct scmp_arg_cmp args[] = {
	        {IS(0, PRIO_PROCESS)}, {IS(1, 0)}, {IS(2, (uint32_t)nice_value)}};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(setpriority),
	                              sizeof(args) / sizeof(args[0]), args);
}

/* To give way to others for a while, and to return: only the caller's own thread, and only from the
 * nice value of now to the lowest priority and back. */
static int add_priority(scmp_filter_ctx filter)
{
	const int own = getpriority(PRIO_PROCESS, 0);
	const int err = add_nice_value(filter, PRIORITY_LOWEST);

	return err || own == PRIORITY_LOWEST ? err : add_nice_value(filter, own);
}

static int add_policy(scmp_filter_ctx filter, int policy)
{
	const struct scmp_arg_cmp args[] = {{IS(0, 0)}, {IS(1, (uint32_t)policy)}};

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(sched_setscheduler),
	                              sizeof(args) / sizeof(args[0]), args);
}

/* To go before others for a while, and to return: only the caller's own thread, and only as far as
 * RLIMIT_RTPRIO lets it, since the priority is where a filter can't look. */
static int add_rush(scmp_filter_ctx filter)
{
	const int err = add_policy(filter, SCHED_FIFO);

	return err ? err : add_policy(filter, SCHED_OTHER);
}

static int add_conditional(scmp_filter_ctx filter)
{
	const struct call calls[] = {
		{SCMP_SYS(socket), IS(0, AF_PACKET)},
		{SCMP_SYS(setsockopt), IS(1, SOL_PACKET)},
		{SCMP_SYS(setsockopt), IS(1, SOL_SOCKET)},
		{SCMP_SYS(mmap), HAS_NOT(2, PROT_EXEC)},
		{SCMP_SYS(mprotect), HAS_NOT(2, PROT_EXEC)},
		{SCMP_SYS(clone), HAS(0, CLONE_VM | CLONE_THREAD)},
		{SCMP_SYS(prctl), IS(0, PR_SET_NAME)},
		{SCMP_SYS(ioctl), IS(1, TCGETS)}, /* stdio asks if stdout is a terminal */
		{SCMP_SYS(tgkill), IS(0, (scmp_datum_t)getpid())}, /* raise() */
#if SANITIZED
		{SCMP_SYS(clone), IS(0, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED)},
#endif
	};

	return add_calls(filter, calls, sizeof(calls) / sizeof(calls[0]));
}

static int add_plain(scmp_filter_ctx filter, const int *numbers, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, numbers[i], 0);
	return err;
}

struct ports {
	const int *fds;
	unsigned n;
	const int *listeners;
	unsigned nlisteners;
	bool programs;
};

static int fill(scmp_filter_ctx filter, const struct ports *ports)
{
	int err = add_plain(filter, plain, sizeof(plain) / sizeof(plain[0]));

	if (!err && SANITIZED)
		err = add_plain(filter, plain_sanitized,
		                sizeof(plain_sanitized) / sizeof(plain_sanitized[0]));
	for (unsigned i = 0; !err && i < ports->n; i++)
		err = add_port(filter, ports->fds[i]);
	for (unsigned i = 0; !err && i < ports->nlisteners; i++)
		if (ports->listeners[i] >= 0)
			err = add_listener(filter, ports->listeners[i]);
	if (!err && ports->programs)
		err = add_programs(filter);
	if (!err)
		err = add_priority(filter);
	if (!err)
		err = add_rush(filter);
	return err ? err : add_conditional(filter);
}

/* clone3() has its flags in memory, where they can't be looked at: as if the kernel had none, upon
 * which glibc uses clone(). */
static int hide_clone3(scmp_filter_ctx filter, const struct ports *ports)
{
	(void)ports;
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

typedef int fill_filter(scmp_filter_ctx filter, const struct ports *ports);

static int install(uint32_t otherwise, fill_filter *rules, const struct ports *ports, bool logged)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);
	int err = filter ? rules(filter, ports) : -ENOMEM;

	if (!err) {
		/* as far as the kernel can; SSB: no slow mode for fear of foreign code */
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, logged);
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
		err = seccomp_load(filter);
	}
	seccomp_release(filter);
	return err;
}

int syscalls_limit(const int *ports, unsigned nports, const int *listeners, unsigned nlisteners,
                   bool programs)
{
	const struct ports places = {ports, nports, listeners, nlisteners, programs};
	int err = install(SCMP_ACT_ALLOW, hide_clone3, &places, false);

	if (!err)
		err = install(SCMP_ACT_ERRNO(EPERM), fill, &places, true);
	if (err < 0)
		log_error("seccomp: %s", strerror(-err));
	return err;
}
