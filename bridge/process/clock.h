/*
 * The one clock: what all times in the live process, and in those that ask it, are of.
 */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include "../../lb/bytes.h"

/* CLOCK_MONOTONIC, which stands still while the machine sleeps and never goes back. */
lb_time clock_now(void);

/* The time of day, in ns since 1970, UTC. Others set it: nothing that lasts is measured by it. */
uint64_t clock_wall(void);

/* What is to be added to clock_now() for the time of day, as that is now. */
uint64_t clock_wall_offset(void);

#endif
