/*
 * Capture files as a port: frames received on a side in, frames sent on it out.
 */
#ifndef BRIDGE_CAPTURE_H
#define BRIDGE_CAPTURE_H

#include "port.h"

/*
 * Opens the port of a side. in is a pcap or pcapng file of Ethernet frames, or NULL: nothing is
 * received; out is a pcap file to be written, or NULL: what is sent is forgotten. Returns 0 and
 * sets *ret, or a negative errno with the reason logged. mac is the port's own.
 */
int capture_open(enum side side, const char *in, const char *out, struct mac mac,
                 struct port **ret);

/* When the next frame to be received arrived; false at the end of the file. */
bool capture_next(struct port *port, lb_time *ret);

/*
 * Closes both files. Returns 0, or -EIO, with the reason logged, if not all could be written.
 */
int capture_close(struct port *port);

#endif
