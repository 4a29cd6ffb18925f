/*
 * What the service manager is told (sd_notify(3)), if one has started the process and asks for it:
 * else all of this does nothing.
 */
#ifndef BRIDGE_MANAGER_H
#define BRIDGE_MANAGER_H

#include "../../lb/bytes.h"

#include <stdbool.h>

/*
 * Connects to the manager that the environment names, and takes that out of it. Once, before the
 * process shuts itself in. What fails is logged.
 */
void manager_open(void);
void manager_close(void);

/* Tells the manager that tmbridge has started, or that a reload is over; status is one line for
 * people. */
void manager_ready(const char *status);

/* Tells it that a reload begins, at now by CLOCK_MONOTONIC; manager_ready() ends that. */
void manager_reloading(lb_time now);

/* Tells it that tmbridge is about to end. */
void manager_stopping(void);

/* How often manager_feed() must be called, in ns; 0: nobody watches. */
uint64_t manager_watched_ns(void);

/* Tells its watchdog that all goes on as it should. Sends something at most a few times in
 * manager_watched_ns(), however often it is called. */
void manager_feed(lb_time now);

#endif
