/*
 * What the process may do from its start on: little.
 */
#ifndef BRIDGE_SANDBOX_H
#define BRIDGE_SANDBOX_H

#include "files.h"

struct sandbox {
	const char *user;   /* whom to become, as user_choose() takes it */
	struct files files; /* to go on using */
	const int *ports;   /* descriptors of packet sockets, to be put in their place again */
	unsigned nports;
	bool programs;        /* to load into the kernel, as long as it runs */
	bool nice;            /* to go before others (rush.h) takes a capability */
	const int *listeners; /* sockets by which others may connect; -1 is none */
	unsigned nlisteners;
};

/*
 * Shuts the process in, for good: it becomes another user, keeps only the capabilities that it
 * needs for its interfaces, opens no files but those of files or beside them, and makes no system
 * calls that it has no use for. All sockets must be open, and no thread may have been started;
 * files that are made from here on belong to that user. Returns 0, or a negative errno with the
 * reason logged.
 */
int sandbox_enter(const struct sandbox *sandbox);

#endif
