/*
 * Where operators are served: by the control thread, in turns, none of which waits.
 */
#ifndef BRIDGE_DESK_H
#define BRIDGE_DESK_H

#include "socket.h"
#include "world.h"

#include <poll.h>

struct desk;

enum {
	DESK_CLIENTS = 16, /* at a time, */
	/* of which so many by the status socket: there is room for operators */
	DESK_STATUS_MAX = 12,
	DESK_FDS = SOCKET_KINDS + DESK_CLIENTS,
	DESK_PATIENCE_S = 60, /* for who neither asks nor reads */
};

/* Makes it for clients of sockets; world and sockets must stay. NULL if memory runs out. */
struct desk *desk_new(struct world *world, const struct sockets *sockets);

/* Closes all connections. desk may be NULL. */
void desk_free(struct desk *desk);

/*
 * What to wait for with poll(2), up to DESK_FDS entries of which the number is returned; and for
 * how many ms at most.
 */
unsigned desk_poll(const struct desk *desk, struct pollfd *ret);
int desk_wait_ms(const struct desk *desk);

/* Does what has come up. Call it after each poll(2), whatever that said. */
void desk_serve(struct desk *desk, lb_time now);

#endif
