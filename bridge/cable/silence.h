/*
 * Keeping the host's own stack from speaking on the wire.
 */
#ifndef BRIDGE_SILENCE_H
#define BRIDGE_SILENCE_H

#include "link.h"

/* Of one interface: what of it the host uses, and how it was before. */
struct silence {
	bool ipv4_used, ipv6_used; /* left alone */
	bool arp_changed, ipv6_changed;
	uint32_t arp_ignore; /* as it was */
	int ipv6_fd;         /* the sysctl disable_ipv6, or -1 */
};

/*
 * Silences the interface's ARP and IPv6, but for what the host has an address for. What can't be
 * silenced is logged; it is no reason not to start.
 */
void silence_begin(struct silence *silence, struct mnl_socket *socket, const struct link *link);

/* The same for the interface that was made anew: what the host uses is what it was. */
void silence_again(struct silence *silence, struct mnl_socket *socket, const struct link *link);

/*
 * To be called when something about the interface has changed: gives the ARP back to a host that
 * has got itself an address there, and silences what has begun anew.
 */
void silence_look(struct silence *silence, struct mnl_socket *socket, const struct link *link);

/* Has to be told when the interface has a new name. */
void silence_renamed(struct silence *silence, const struct link *link);

/*
 * Makes all that was changed as it was, but for what somebody else has changed since. link is as it
 * is now, or NULL if it is gone.
 */
void silence_end(struct silence *silence, struct mnl_socket *socket, const struct link *link);

#endif
