/*
 * What a process that is shut in may still do: in a thread of its own, which takes the filter into
 * its grave.
 */
#include "suites.h"

#include "../../bridge/process/syscalls.h"

#include <errno.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Each is 0 or an errno. */
struct seen {
	int pair[2];
	int limit, sendmsg, sendmmsg, recvmsg;        /* what is done */
	int inet, unix_socket, bind, connect, execve; /* what isn't */
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

/* Messages go out by sendmmsg(), which some libraries make of sendmsg(). */
START_TEST(messages_are_sent_by_either_call)
{
	struct seen seen;

	be_shut_in(&seen);
	ck_assert_int_eq(seen.sendmsg, 0);
	ck_assert_int_eq(seen.sendmmsg, 0);
	ck_assert_int_eq(seen.recvmsg, 0);
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

Suite *syscalls_suite(void)
{
	const TTest *const tests[] = {messages_are_sent_by_either_call,
	                              other_sockets_and_programs_are_refused, NULL};

	return suite_of("syscalls", tests);
}
