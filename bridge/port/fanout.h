/*
 * Has the kernel share out what arrives on a side among the workers' sockets.
 */
#ifndef BRIDGE_FANOUT_H
#define BRIDGE_FANOUT_H

#include "port.h"
#include "../../lb/rules.h"
#include "../../lb/share.h"

/*
 * Lets the packet ports of one side, of n workers in their order, share what arrives; a port that
 * shares already stays as it is. Until fanout_steer() the first one gets all. Returns 0, or a
 * negative errno with the reason logged.
 */
int fanout_join(struct port *const *ports, unsigned n);

/*
 * Gives the kernel the program by which each of them gets the frames that are its worker's by these
 * rules. The kernel needs milliseconds or more for that; frames go on meanwhile, and the workers
 * may run. Returns as above.
 */
int fanout_steer(struct port *const *ports, const struct rules *rules, const struct share *share);

#endif
