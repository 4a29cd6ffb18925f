/*
 * Notifications from the kernel that something about the two interfaces may have changed.
 */
#ifndef BRIDGE_MONITOR_H
#define BRIDGE_MONITOR_H

#include "../../lb/frame.h"

struct mnl_socket;

/* An interface whose notifications count. */
struct monitor_watch {
	int index;    /* or 0: there is none, and one is waited for */
	bool changed; /* there was a notification of it; or, waiting for one, of any interface */
	bool removed; /* it isn't there any more, though another of the same index may be */
};

/* Opens the socket that is readable when there are notifications. Returns 0 or a negative errno. */
int monitor_open(struct mnl_socket **ret);

/*
 * Reads all notifications without waiting and sets what they say in both watches, by enum side.
 * Returns true if there were any.
 */
bool monitor_hear(struct mnl_socket *socket, struct monitor_watch watches[NSIDES]);

#endif
