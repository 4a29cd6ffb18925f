/*
 * Keeps an interface to one tmbridge: a second one is refused, with the first one's PID.
 */
#ifndef BRIDGE_CLAIM_H
#define BRIDGE_CLAIM_H

#include "link.h"

/* Of one interface: what nobody else can have while this process lives. */
struct claim {
	int by_index, by_name; /* descriptors, or -1 */
	int by_given;          /* likewise, if it was given by another of its names */
};

/*
 * Claims the interface link, which was given by that name and is called so in messages. Returns 0,
 * or -EBUSY, with the reason logged, if another process has it, or waits for one of any of its
 * names, which the kernel is asked for by socket. claim_drop() is due in either case.
 */
int claim_take(struct claim *claim, struct mnl_socket *socket, const struct link *link,
               const char *name);

/* The same for an interface that is gone, by that name only, which whoever waits for it has. */
int claim_take_name(struct claim *claim, const char *name);
void claim_drop(struct claim *claim);

#endif
