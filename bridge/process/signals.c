/*
 * By default most signals end a process, and with it the wire: also those that a mistyped kill or a
 * script for another daemon sends, and those that stop whoever is in the background of a terminal.
 * SIGQUIT, SIGABRT and those of faults still do, and leave a core.
 *
 * SIGINT and SIGTERM end it by default until signals_open(): before that it has changed nothing
 * that would have to be put back.
 */
#include "signals.h"

#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>

/* Writers who have nobody that reads, and files that have no room, are told by write(). */
static const int harmless[] = {SIGUSR2,   SIGALRM, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR,
                               SIGSTKFLT, SIGPIPE, SIGXFSZ,   SIGXCPU, SIGTTIN, SIGTTOU};
static const int waiting[] = {SIGHUP, SIGUSR1};
static const int ending[] = {SIGINT, SIGTERM};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void add(sigset_t *set, const int *signals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sigaddset(set, signals[i]);
}

static void handle_harmless(void (*handler)(int))
{
	for (size_t i = 0; i < COUNT(harmless); i++)
		signal(harmless[i], handler);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		signal(i, handler);
}

void signals_hold(void)
{
	sigset_t set;

	sigemptyset(&set);
	add(&set, waiting, COUNT(waiting));
	sigprocmask(SIG_BLOCK, &set, NULL);
	handle_harmless(SIG_IGN);
}

void signals_let_go(void)
{
	sigset_t set;

	handle_harmless(SIG_DFL);
	sigemptyset(&set);
	add(&set, waiting, COUNT(waiting));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int signals_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	add(&set, waiting, COUNT(waiting));
	add(&set, ending, COUNT(ending));
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd >= 0)
		return fd;
	fd = -errno;
	log_error("signalfd: %m");
	return fd;
}
