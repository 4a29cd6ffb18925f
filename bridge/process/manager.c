/*
 * By hand: libsystemd's sd_notify() opens a socket each time, which the sandbox doesn't let happen.
 *
 * The environment is told once and then forgotten, so that nothing that is started from here, or
 * reads it, takes itself for the service.
 */
#include "manager.h"

#include "datagram.h"
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MANAGER_BYTES = 512,
	MANAGER_FEEDS = 4, /* in the time in which there must be one: some may get lost */
};

static int manager = -1; /* socket */
static uint64_t watched_ns;
static lb_time fed;

/* Whether a variable of the environment, if it is there at all, names this process. */
static bool is_for_us(const char *pid)
{
	return !pid || strtoumax(pid, NULL, 10) == (uintmax_t)getpid();
}

void manager_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	const char *watchdog_us = getenv("WATCHDOG_USEC");

	if (path && (manager = datagram_connect(path)) < 0)
		log_warning("%s: the service manager can't be told: %s", path, strerror(-manager));
	if (manager >= 0 && watchdog_us && is_for_us(getenv("WATCHDOG_PID")))
		watched_ns = strtoumax(watchdog_us, NULL, 10) * (LB_NS_PER_MS / 1000);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void manager_close(void)
{
	if (manager >= 0)
		close(manager);
	manager = -1;
	watched_ns = 0;
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	char text[MANAGER_BYTES];
	va_list args;

	if (manager < 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	datagram_send(manager, text, strlen(text));
}

void manager_ready(const char *status)
{
	tell("READY=1\nSTATUS=%s", status);
}

void manager_reloading(lb_time now)
{
	tell("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)(now.ns / (LB_NS_PER_MS / 1000)));
}

void manager_stopping(void)
{
	tell("STOPPING=1");
}

uint64_t manager_watched_ns(void)
{
	return watched_ns;
}

void manager_feed(lb_time now)
{
	if (!watched_ns || now.ns - fed.ns < watched_ns / MANAGER_FEEDS)
		return;
	fed = now;
	tell("WATCHDOG=1");
}
