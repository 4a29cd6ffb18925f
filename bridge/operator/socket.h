/*
 * The sockets by which operators talk to a running tmbridge.
 */
#ifndef BRIDGE_SOCKET_H
#define BRIDGE_SOCKET_H

#include "../process/run.h"
#include "../../lb/frame.h"

enum socket_kind { SOCKET_CONTROL, SOCKET_STATUS, SOCKET_KINDS };

struct sockets {
	int fds[SOCKET_KINDS]; /* that listen; -1: there is none */
};

/*
 * Makes them in RUN_DIRECTORY/OUTSIDE-INSIDE/: `control` for root and the group tmbridge,
 * `status` also for the group tmbridge-view. What an earlier process left there is replaced.
 * Without them nobody can ask, but the wire needs none: what fails is logged, and fds are -1.
 */
void sockets_open(struct sockets *sockets, const char *const names[NSIDES]);
void sockets_close(struct sockets *sockets);

/* Who is at the other end of a connection. */
struct socket_peer {
	uint32_t uid, pid;
};

/* The next connection that waits, not blocking; or a negative errno. */
int socket_accept(int fd, struct socket_peer *ret);

#endif
