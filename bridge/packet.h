/*
 * A network interface as a port, by AF_PACKET.
 */
#ifndef BRIDGE_PACKET_H
#define BRIDGE_PACKET_H

#include "port.h"

/*
 * Opens the interface name for a side and begins to receive all of its frames, promiscuously until
 * packet_close() or the process's end. Returns 0 and sets *ret, or a negative errno with the reason
 * logged.
 */
int packet_open(enum side side, const char *name, struct port **ret);
void packet_close(struct port *port);

/* Readable when a frame has arrived. */
int packet_fd(const struct port *port);

/* Adds to port's counts what the kernel dropped since the last call. */
void packet_count_missed(struct port *port);

#endif
