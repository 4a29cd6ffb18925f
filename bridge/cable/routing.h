/*
 * Whether the host's kernel routes between the two interfaces: mode = routed.
 */
#ifndef BRIDGE_ROUTING_H
#define BRIDGE_ROUTING_H

#include "link.h"
#include "../../lb/frame.h"

/* What has been set, and what it was before. */
struct routing {
	bool began, on;
	int index[NSIDES];       /* of the interfaces that before[] is about */
	struct mac mac[NSIDES];  /* theirs */
	uint32_t before[NSIDES]; /* of IPv4, by interface */
	uint32_t before6;        /* of IPv6, where it is one switch for all */
	int fd6;                 /* that switch's file, or -1: there is no IPv6 */
	int left; /* the file that says so to whoever comes after, or -1: there is none */
};

/*
 * Has the kernel route, or not, what arrives at these interfaces, which have those names on the
 * command line, until routing_end() sets all as it was: before this process, or before one that was
 * killed. One of zeros is fine for routing_end(). Returns 0, or a negative errno with the reason
 * logged.
 */
int routing_begin(struct routing *routing, struct mnl_socket *socket,
                  const char *const names[NSIDES], const struct link *const links[NSIDES], bool on);
void routing_end(struct routing *routing, struct mnl_socket *socket,
                 const struct link *const links[NSIDES]);

/* Leaves all as it is, for whoever comes after. */
void routing_leave(struct routing *routing);

/* Sets back what a process that is no more has left. Returns 0, or -ENOENT if there is nothing. */
int routing_release(struct mnl_socket *socket, const char *const names[NSIDES],
                    const struct link *const links[NSIDES]);

/* Sets it again where somebody else has changed it, and says so; or changes it. */
void routing_hold(struct routing *routing, struct mnl_socket *socket,
                  const struct link *const links[NSIDES], bool on);

#endif
