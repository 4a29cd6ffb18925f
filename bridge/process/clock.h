/*
 * The one clock: what all times in the live process, and in those that ask it, are of.
 */
#ifndef BRIDGE_CLOCK_H
#define BRIDGE_CLOCK_H

#include "../../lb/bytes.h"

#include <sys/types.h>
#include <time.h>

/* CLOCK_MONOTONIC, which stands still while the machine sleeps and never goes back. */
lb_time clock_now(void);

/* How long this thread has had a processor, in ns: what it has cost others. */
uint64_t clock_used(void);

/* A condition that is waited for by this clock, until the time that is ns from now: who sets the
 * time of day neither ends a wait nor draws it out. */
void clock_condition(pthread_cond_t *ret);
struct timespec clock_in(uint64_t ns);

/* The time of day, in ns since 1970, UTC. Others set it: nothing that lasts is measured by it. */
uint64_t clock_wall(void);

/* What is to be added to clock_now() for the time of day, in ns, as that is now. Times that are to
 * be compared take one offset: the next one differs by how long it took to read both clocks, and by
 * more if somebody has set the time of day. */
uint64_t clock_wall_offset(void);

#endif
