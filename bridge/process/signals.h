/*
 * Signals: those that tmbridge acts upon, and those that must do nothing.
 */
#ifndef BRIDGE_SIGNALS_H
#define BRIDGE_SIGNALS_H

/*
 * First thing in the process: what comes from now on to a process that isn't ready yet, SIGHUP and
 * SIGUSR1, waits for signals_open(), and what nothing is done about doesn't end it.
 */
void signals_hold(void);

/* The opposite, for a process that will never be ready: they do what they do by default. */
void signals_let_go(void);

/*
 * Opens a descriptor that signalfd(2) gives, not waiting, for SIGHUP, SIGUSR1, SIGINT and SIGTERM,
 * which reach the process, and threads that are started from now on, only by it. Returns it, or a
 * negative errno with the reason logged.
 */
int signals_open(void);

#endif
