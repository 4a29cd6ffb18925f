/*
 * Hearing from the kernel that something about the two interfaces may have changed.
 */
#ifndef BRIDGE_MONITOR_H
#define BRIDGE_MONITOR_H

#include "../../lb/frame.h"

struct mnl_socket;

/* An interface to hear of. */
struct monitor_watch {
	int index;    /* or 0: there is none, and one is waited for */
	bool changed; /* something was said of it; or of any, if one is waited for */
	bool removed; /* it isn't there any more, though another of the same index may be */
};

/* Opens the socket that is readable when there is news. Returns 0 or a negative errno. */
int monitor_open(struct mnl_socket **ret);

/*
 * Reads all news without waiting and sets what they say in both watches, by enum side. Returns if
 * there were any.
 */
bool monitor_hear(struct mnl_socket *socket, struct monitor_watch watches[NSIDES]);

#endif
