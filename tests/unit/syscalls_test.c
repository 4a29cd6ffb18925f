/*
 * What a process that is shut in may still do: in a thread of its own, which takes the filter into
 * its grave.
 */
#include "suites.h"

#include "../../bridge/process/syscalls.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Each is 0 or an errno. */
struct seen {
	int pair[2];
	int limit, sendmsg, sendmmsg, recvmsg, readv; /* what is done */
	int inet, unix_socket, bind, connect, execve; /* what isn't */
	int rush, calm;                               /* going before others, and returning */
	int round_robin, batch, other_thread, param, attr;
};

static int of(long result)
{
	return result < 0 ? errno : 0;
}

static void try_messages(struct seen *seen)
{
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct mmsghdr message = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};

	seen->sendmsg = of(sendmsg(seen->pair[0], &message.msg_hdr, 0));
	seen->sendmmsg = of(syscall(SYS_sendmmsg, seen->pair[0], &message, 1, 0));
	seen->recvmsg = of(recvmsg(seen->pair[1], &message.msg_hdr, 0));
	seen->readv = of(readv(seen->pair[1], &iov, 1));
}

static void try_others(struct seen *seen)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
	char *const none[] = {NULL};

	seen->inet = of(socket(AF_INET, SOCK_DGRAM, 0));
	seen->unix_socket = of(socket(AF_UNIX, SOCK_DGRAM, 0));
	seen->bind = of(bind(seen->pair[0], (const struct sockaddr *)&address, sizeof(address)));
	seen->connect =
	        of(connect(seen->pair[0], (const struct sockaddr *)&address, sizeof(address)));
	seen->execve = of(execve(address.sun_path, none, none));
}

/* The kernel refuses with EPERM, too, whoever may not go before others: a priority that there isn't
 * comes to it as EINVAL. */
static void try_policies(struct seen *seen)
{
	const struct sched_param high = {.sched_priority = 1000}, none = {.sched_priority = 0};
	char attr[48] = {0};

	seen->rush = of(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &high));
	seen->calm = of(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none));
	seen->round_robin = of(syscall(SYS_sched_setscheduler, 0, SCHED_RR, &high));
	seen->batch = of(syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &none));
	seen->other_thread = of(syscall(SYS_sched_setscheduler, getpid(), SCHED_OTHER, &none));
	seen->param = of(syscall(SYS_sched_setparam, 0, &none));
	seen->attr = of(syscall(SYS_sched_setattr, 0, attr, 0));
}

static void *shut_in(void *arg)
{
	struct seen *seen = arg;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		seen->limit = -errno;
		return NULL;
	}
	seen->limit = syscalls_limit(NULL, 0, NULL, 0, false);
	if (seen->limit < 0)
		return NULL;
	try_messages(seen);
	try_others(seen);
	try_policies(seen);
	return NULL;
}

static void be_shut_in(struct seen *seen)
{
	pthread_t thread;

	*seen = (struct seen){.limit = -1};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, seen->pair), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, shut_in, seen), 0);
	pthread_join(thread, NULL);
	close(seen->pair[0]);
	close(seen->pair[1]);
	ck_assert_int_eq(seen->limit, 0);
}

/* Messages go out by sendmmsg(), which some libraries make of sendmsg(); stdio reads by read(), or
 * there by readv(). */
START_TEST(what_other_libraries_call_is_allowed)
{
	struct seen seen;

	be_shut_in(&seen);
	ck_assert_int_eq(seen.sendmsg, 0);
	ck_assert_int_eq(seen.sendmmsg, 0);
	ck_assert_int_eq(seen.recvmsg, 0);
	ck_assert_int_eq(seen.readv, 0);
}
END_TEST

START_TEST(other_sockets_and_programs_are_refused)
{
	struct seen seen;

	be_shut_in(&seen);
	ck_assert_int_eq(seen.inet, EPERM);
	ck_assert_int_eq(seen.unix_socket, EPERM);
	ck_assert_int_eq(seen.bind, EPERM);
	ck_assert_int_eq(seen.connect, EPERM);
	ck_assert_int_eq(seen.execve, EPERM);
}
END_TEST

START_TEST(a_thread_goes_before_others_and_returns_and_nothing_else)
{
	struct seen seen;

	be_shut_in(&seen);
	ck_assert_int_eq(seen.rush, EINVAL);
	ck_assert_int_eq(seen.calm, 0);
	ck_assert_int_eq(seen.round_robin, EPERM);
	ck_assert_int_eq(seen.batch, EPERM);
	ck_assert_int_eq(seen.other_thread, EPERM);
	ck_assert_int_eq(seen.param, EPERM);
	ck_assert_int_eq(seen.attr, EPERM);
}
END_TEST

Suite *syscalls_suite(void)
{
	const TTest *const tests[] = {
	        what_other_libraries_call_is_allowed, other_sockets_and_programs_are_refused,
	        a_thread_goes_before_others_and_returns_and_nothing_else, NULL};

	return suite_of("syscalls", tests);
}
