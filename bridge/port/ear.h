/*
 * A port for ARP and neighbour discovery only, beside those of the workers.
 */
#ifndef BRIDGE_EAR_H
#define BRIDGE_EAR_H

#include "../cable/link.h"
#include "port.h"

/* Opens such a port, named name, that receives nothing yet. Returns 0 and sets *ret, or a negative
 * errno with the reason logged. */
int ear_open(enum side side, const char *name, struct port **ret);
void ear_close(struct port *port);

/*
 * Has the port receive and send on link, which may be another one than before, until ear_rest().
 * Returns 0 or a negative errno.
 */
int ear_listen(struct port *port, const struct link *link);
void ear_rest(struct port *port);

/* If its interface has been down for a while, however short, since it listens. */
bool ear_was_down(const struct port *port);

/* Readable when a frame has arrived. */
int ear_fd(const struct port *port);

#endif
