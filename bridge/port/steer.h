/*
 * Has the kernel give each frame to its worker's socket.
 */
#ifndef BRIDGE_STEER_H
#define BRIDGE_STEER_H

#include "port.h"
#include "../../lb/rules.h"
#include "../../lb/share.h"

#include <linux/filter.h>

/*
 * Writes a program of classic BPF that gives the number of the worker to whom a frame belongs, as
 * owner_of() does, for packet fanout: the frame begins at layer 3. share is any worker's.
 * Returns the number of instructions, or -E2BIG if max aren't enough.
 */
int steer_program(const struct rules *rules, const struct share *share, struct sock_filter *ret,
                  unsigned max);

/*
 * Lets the packet ports of one side, of n workers in their order, share what arrives; a port that
 * shares already stays as it is. Until steer_ports() the first one gets all. Returns 0, or a
 * negative errno with the reason logged.
 */
int steer_join(struct port *const *ports, unsigned n);

/*
 * Gives the kernel the program by which each of them gets the frames that are its worker's by these
 * rules. The kernel needs milliseconds or more for that; frames go on meanwhile, and the workers
 * may run. Returns as above.
 */
int steer_ports(struct port *const *ports, const struct rules *rules, const struct share *share);

#endif
