/*
 * A network interface as a port, by AF_PACKET.
 */
#ifndef BRIDGE_PACKET_H
#define BRIDGE_PACKET_H

#include "link.h"
#include "port.h"

/*
 * Opens the interface link, named name, for a side and begins to receive all of its frames,
 * promiscuously until packet_close() or the process's end. Returns 0 and sets *ret, or a negative
 * errno with the reason logged.
 */
int packet_open(enum side side, const char *name, const struct link *link, struct port **ret);
void packet_close(struct port *port);

/*
 * Goes over to link, another interface than before. port may not be in use meanwhile; packet_fd()
 * stays the same. Returns 0 or a negative errno.
 */
int packet_reopen(struct port *port, const struct link *link);

/* Readable when a frame has arrived. */
int packet_fd(const struct port *port);

/* Adds to port's counts what the kernel dropped since the last call. */
void packet_count_missed(struct port *port);

#endif
