/*
 * The punt devices: a veth pair, of which each end is where the workers listen for one side.
 */
#ifndef BRIDGE_PUNT_H
#define BRIDGE_PUNT_H

#include "../cable/link.h"
#include "../../lb/frame.h"

struct mnl_socket;

/*
 * Finds or makes the pair for the ports of which outside is the index of one, and sets it up; ret
 * is by enum side. Nothing may be attached to them yet that would have to be kept. Returns 0 or a
 * negative errno.
 */
int punt_make(struct mnl_socket *socket, int outside, struct link ret[NSIDES]);

/*
 * Finds the device of that index if it is the outside one of a pair, and there is no interface any
 * more of the index that the pair was made for. Returns 0, or -ENODEV.
 */
int punt_find_orphan(struct mnl_socket *socket, int index, struct link *ret);

/* Finds the device for the frames from outside of a pair that was made for that port. Returns 0 or
 * a negative errno. */
int punt_find(struct mnl_socket *socket, int outside, struct link *ret);

/* Removes both. Returns 0 or a negative errno. */
int punt_remove(struct mnl_socket *socket, const struct link *either);

#endif
