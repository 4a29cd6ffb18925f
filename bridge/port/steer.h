/*
 * The program by which the kernel gives each frame to its worker's socket (fanout.h).
 */
#ifndef BRIDGE_STEER_H
#define BRIDGE_STEER_H

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

#endif
