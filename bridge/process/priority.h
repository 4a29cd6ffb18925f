/*
 * Giving way to all others on the processors, for a while or for good: the nice value of a thread.
 */
#ifndef BRIDGE_PRIORITY_H
#define BRIDGE_PRIORITY_H

#include <stdbool.h>

enum { PRIORITY_LOWEST = 19 /* as a nice value */ };

struct priority {
	int own;         /* nice value that the process was started with */
	bool may_return; /* to it, from a lower priority */
	bool is_lowered; /* by priority_lower() */
};

/* Finds out, and sees to it that the process may return, if it is allowed to raise that limit: to
 * be called while it still has the capabilities of its start. */
void priority_open(struct priority *ret);

/* The calling thread gets the lowest priority, if it may return; and its own again. If somebody
 * else has given it another one meanwhile it keeps that. */
void priority_lower(struct priority *priority);
void priority_return(struct priority *priority);

/* The lowest one for good: for programs that only show something. */
void priority_give_up(void);

#endif
