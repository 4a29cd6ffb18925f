/*
 * Makes another process execute system calls, to see what it is allowed to.
 *
 *   inject TID|self CALL[=PATH]...
 *
 * Stops the thread by ptrace, has it execute each CALL (see calls[]) by a syscall instruction of
 * its own vDSO, and lets it go on as if nothing had been. Prints one line for each CALL: its name
 * and "ok", or the name of its error; for getpid, the number. With "self" it does the same to
 * processes of its own, a fresh one for each CALL, which shows that CALL works where it is not
 * forbidden. Processes that a CALL makes are killed. For x86-64 only: elsewhere exit status 77.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

enum {
	VDSO_BYTES = 16 << 10,
	DATA_BYTES = 512, /* at most one page below the stack pointer, where nobody has anything */
	DATA_BELOW = 4096,
	FREE_FD = 1000, /* none in the target is as high */
};

struct target {
	pid_t tid;
	int memory;
	struct user_regs_struct regs; /* as it was found */
	uint64_t syscall;             /* the address of a syscall instruction */
	uint64_t data;                /* where arguments are put */
	bool gone;                    /* it executes another program now */
};

struct request {
	long number;
	uint64_t arguments[6];
};

static void die(const char *where)
{
	fprintf(stderr, "inject: %s: %s\n", where, strerror(errno));
	exit(1);
}

static void find_syscall(struct target *target)
{
	static uint8_t code[VDSO_BYTES];
	char path[64], line[512];
	unsigned long start = 0;
	ssize_t n;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", target->tid);
	maps = fopen(path, "r");
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "[vdso]"))
			start = strtoul(line, NULL, 16);
	if (!maps || !start)
		die(path);
	fclose(maps);
	n = pread(target->memory, code, sizeof(code), (off_t)start);
	for (ssize_t i = 0; i + 1 < n && !target->syscall; i++)
		if (code[i] == 0x0f && code[i + 1] == 0x05)
			target->syscall = start + (uint64_t)i;
	if (!target->syscall)
		die("no syscall instruction in the vDSO");
}

/* Waits for the target to stop, and kills what it has started meanwhile. False if it is stopped by
 * an execve(). */
static bool wait_stopped(struct target *target)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			die("waitpid");
		if (pid != target->tid) {
			kill(pid, SIGKILL);
			continue;
		}
		if (!WIFSTOPPED(status))
			die("the target has ended");
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			return false;
		if (status >> 16 == 0 || status >> 16 == PTRACE_EVENT_STOP)
			return true;
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0) /* a fork of some kind */
			die("ptrace");
	}
}

static void seize(struct target *target, pid_t tid)
{
	const long options =
	        PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
	char path[64];

	*target = (struct target){.tid = tid};
	if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0)
		die("ptrace");
	wait_stopped(target);
	snprintf(path, sizeof(path), "/proc/%d/mem", tid);
	target->memory = open(path, O_RDWR | O_CLOEXEC);
	if (target->memory < 0 || ptrace(PTRACE_GETREGS, tid, 0, &target->regs) < 0)
		die(path);
	find_syscall(target);
	target->data = (target->regs.rsp - DATA_BELOW) & ~UINT64_C(15);
}

static void release(struct target *target)
{
	if (!target->gone && (ptrace(PTRACE_SETREGS, target->tid, 0, &target->regs) < 0 ||
	                      ptrace(PTRACE_DETACH, target->tid, 0, 0) < 0))
		die("ptrace");
	close(target->memory);
}

/* Returns what the system call does: a negative errno if it fails. */
static long execute(struct target *target, const struct request *request)
{
	struct user_regs_struct regs = target->regs;

	regs.rip = target->syscall;
	regs.rax = (uint64_t)request->number;
	regs.orig_rax = UINT64_MAX; /* not in a system call that would be restarted */
	regs.rdi = request->arguments[0];
	regs.rsi = request->arguments[1];
	regs.rdx = request->arguments[2];
	regs.r10 = request->arguments[3];
	regs.r8 = request->arguments[4];
	regs.r9 = request->arguments[5];
	if (ptrace(PTRACE_SETREGS, target->tid, 0, &regs) < 0 ||
	    ptrace(PTRACE_SINGLESTEP, target->tid, 0, 0) < 0)
		die("ptrace");
	if (!wait_stopped(target)) {
		target->gone = true;
		return 0;
	}
	if (ptrace(PTRACE_GETREGS, target->tid, 0, &regs) < 0)
		die("ptrace");
	return (long)regs.rax;
}

static void put(struct target *target, const void *data, size_t len)
{
	if (pwrite(target->memory, data, len, (off_t)target->data) != (ssize_t)len)
		die("memory of the target");
}

/*
 * A socket of the target's, or a number that is none: for calls that are refused before it matters.
 */
static uint64_t socket_of(struct target *target, uint64_t type)
{
	const struct request socket = {SYS_socket, {AF_INET, type, 0}};
	long fd = execute(target, &socket);

	return fd < 0 ? FREE_FD : (uint64_t)fd;
}

/* DATA stands for the address of the path, or of the structure in call.data. */
#define DATA     UINT64_MAX
#define SOCKET   (UINT64_MAX - 1)
#define LISTENER (UINT64_MAX - 2)

static const struct sockaddr_in loopback = {
        .sin_family = AF_INET, .sin_port = 0x0900, .sin_addr = {0x0100007f}};
static const union bpf_attr map = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
static const char shell[] = "/bin/sh";
static const char zeros[256];

static const struct call {
	const char *name;
	struct request request;
	const void *data;
	size_t len;
	bool gives_fd;
} calls[] = {
        {"getpid", {SYS_getpid, {0}}, NULL, 0, false},
        {"sendmsg", {SYS_sendmsg, {(uint64_t)-1, DATA, 0}}, NULL, 0, false},
        {"open", {SYS_openat, {(uint64_t)AT_FDCWD, DATA, O_RDONLY}}, NULL, 0, true},
        {"write",
         {SYS_openat, {(uint64_t)AT_FDCWD, DATA, O_WRONLY | O_CREAT, 0600}},
         NULL,
         0,
         true},
        {"unlink", {SYS_unlink, {DATA}}, NULL, 0, false},
        {"mkdir", {SYS_mkdir, {DATA, 0700}}, NULL, 0, false},
        {"symlink", {SYS_symlink, {DATA, DATA}}, NULL, 0, false},
        {"chmod", {SYS_chmod, {DATA, 0600}}, NULL, 0, false},
        {"chdir", {SYS_chdir, {DATA}}, NULL, 0, false},
        {"mount", {SYS_mount, {DATA, DATA, 0, MS_BIND, 0}}, NULL, 0, false},
        {"fork", {SYS_fork, {0}}, NULL, 0, false},
        {"vfork", {SYS_vfork, {0}}, NULL, 0, false},
        {"clone", {SYS_clone, {SIGCHLD}}, NULL, 0, false},
        {"execve", {SYS_execve, {DATA, 0, 0}}, shell, sizeof(shell), false},
        {"socket-inet", {SYS_socket, {AF_INET, SOCK_STREAM, 0}}, NULL, 0, true},
        {"socket-inet6", {SYS_socket, {AF_INET6, SOCK_DGRAM, 0}}, NULL, 0, true},
        {"socket-unix", {SYS_socket, {AF_UNIX, SOCK_STREAM, 0}}, NULL, 0, true},
        {"socket-raw", {SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_ICMP}}, NULL, 0, true},
        {"socket-netlink", {SYS_socket, {AF_NETLINK, SOCK_RAW, 0}}, NULL, 0, true},
        {"socketpair",
         {SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, DATA}},
         zeros,
         sizeof(zeros),
         false},
        {"connect",
         {SYS_connect, {SOCKET, DATA, sizeof(loopback)}},
         &loopback,
         sizeof(loopback),
         false},
        {"bind", {SYS_bind, {SOCKET, DATA, sizeof(loopback)}}, &loopback, sizeof(loopback), false},
        {"listen", {SYS_listen, {LISTENER, 1}}, NULL, 0, false},
        {"kill", {SYS_kill, {1, 0}}, NULL, 0, false},
        {"ptrace", {SYS_ptrace, {PTRACE_SEIZE, 1, 0, 0}}, NULL, 0, false},
        {"setuid", {SYS_setuid, {0}}, NULL, 0, false},
        {"nice", {SYS_setpriority, {PRIO_PROCESS, 0, 18}}, NULL, 0, false},
        {"unshare", {SYS_unshare, {CLONE_NEWUSER}}, NULL, 0, false},
        {"memfd_create", {SYS_memfd_create, {DATA, 0}}, shell, sizeof(shell), true},
        {"bpf", {SYS_bpf, {BPF_MAP_CREATE, DATA, sizeof(map)}}, &map, sizeof(map), true},
        {"mmap-exec",
         {SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, FREE_FD, 0}},
         NULL,
         0,
         false},
};

static void run(struct target *target, const struct call *call, const char *path)
{
	struct request request = call->request;
	long result;

	if (request.arguments[0] == SOCKET)
		request.arguments[0] = socket_of(target, SOCK_DGRAM);
	if (request.arguments[0] == LISTENER)
		request.arguments[0] = socket_of(target, SOCK_STREAM);
	if (path)
		put(target, path, strlen(path) + 1);
	else if (call->data)
		put(target, call->data, call->len);
	for (unsigned i = 0; i < 6; i++)
		if (request.arguments[i] == DATA)
			request.arguments[i] = target->data;
	result = execute(target, &request);
	if (request.number == SYS_getpid)
		printf("%s %ld\n", call->name, result);
	else
		printf("%s %s\n", call->name,
		       result < 0 && result > -4096 ? strerrorname_np((int)-result) : "ok");
	if (call->gives_fd && result >= 0)
		execute(target, &(struct request){SYS_close, {(uint64_t)result}});
}

static const struct call *find_call(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strlen(calls[i].name) == len && !strncmp(calls[i].name, name, len))
			return &calls[i];
	fprintf(stderr, "inject: no such call: %s\n", name);
	exit(2);
}

/* A process to do it to, which waits and ends with this one. */
static pid_t start_other(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void inject(pid_t tid, const char *arg)
{
	const char *path = strchr(arg, '=');
	const struct call *call = find_call(arg, path ? (size_t)(path - arg) : strlen(arg));
	struct target target;
	bool self = !tid;

	if (self)
		tid = start_other();
	seize(&target, tid);
	run(&target, call, path ? path + 1 : NULL);
	if (self)
		kill(tid, SIGKILL);
	else
		release(&target);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "Usage: inject TID|self CALL[=PATH]...\n");
		return 2;
	}
	for (int i = 2; i < argc; i++)
		inject(strcmp(argv[1], "self") ? atoi(argv[1]) : 0, argv[i]);
	return 0;
}

#else

int main(void)
{
	fprintf(stderr, "inject: for x86-64 only\n");
	return 77;
}

#endif
