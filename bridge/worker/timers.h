/*
 * When which of a fixed number of things is due: a heap by time.
 */
#ifndef BRIDGE_TIMERS_H
#define BRIDGE_TIMERS_H

#include "../../lb/frame.h"

#define TIMERS_NEVER ((lb_time){UINT64_MAX})

struct timers;

/* For things 0 to n - 1, none of which is due. Returns NULL if memory runs out. */
struct timers *timers_new(uint32_t n);
void timers_free(struct timers *timers);

/* Sets when a thing is due next, in O(log n). */
void timers_set(struct timers *timers, uint32_t thing, lb_time due);

/*
 * The same for many things at once, in O(n): each of them by timers_note(), and then, before
 * anything else is asked or set, timers_order().
 */
void timers_note(struct timers *timers, uint32_t thing, lb_time due);
void timers_order(struct timers *timers);

/* When the first thing is due (of nothing TIMERS_NEVER), and which that is: of several the lowest.
 */
lb_time timers_due(const struct timers *timers);
uint32_t timers_first(const struct timers *timers);

#endif
