/*
 * The one clock: what all times in the live process are of.
 */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include "../../lb/bytes.h"

/* CLOCK_MONOTONIC, which stands still while the machine sleeps and never goes back. */
lb_time clock_now(void);

/* What is to be added to it for the time of day (ns since 1970, UTC), as that is now. */
uint64_t clock_wall_offset(void);

#endif
