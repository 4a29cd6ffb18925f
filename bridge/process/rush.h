/*
 * More has come than a thread's fair share of the processors lets it deal with: for that moment it
 * goes before all other threads of the machine.
 */
#ifndef BRIDGE_RUSH_H
#define BRIDGE_RUSH_H

#include "../../lb/bytes.h"

#include <stdbool.h>

enum {
	RUSH_PRIORITY = 1,      /* the least of SCHED_FIFO */
	RUSH_CALM_MS = 20,      /* a rush ends when not much has been waiting for so long, */
	RUSH_LONGEST_MS = 5000, /* and after so long in any case. */
	RUSH_REST = 4,      /* Each has to be made up for by a rest of so many times its length, */
	RUSH_LEAST_MS = 100 /* and none begins that might not last so long. */
};

/* A thread's. */
struct rush {
	bool may; /* go before others */
	bool is_on;
	lb_time since;    /* it is on, or off */
	lb_time pressed;  /* when much was waiting, the last time */
	uint64_t left_ns; /* how long it might last, at that time since */
	uint64_t times;   /* how often it was on */
};

/* Of the process. */
struct rush_leave {
	unsigned threads; /* that may go before others: one for each processor, or none */
	bool takes_nice;  /* for that they need CAP_SYS_NICE as long as they run */
};

/*
 * Sees to it that threads may go before others, as far as the process may do so: to be called while
 * it still has the capabilities of its start. None may if there is but one processor, if whoever
 * started the process has chosen how it is scheduled, or on a kernel that it doesn't suit. Returns
 * 0, or a negative errno if it isn't allowed to.
 */
int rush_allow(struct rush_leave *ret);

/* If it suits a kernel of that release, as uname() has it. */
bool rush_suits(const char *release);

void rush_open(struct rush *ret, bool may, lb_time now);

/* Whether it has to begin, or to end, and does so on paper; pressed: much is waiting at that time.
 * It need not be asked while it is off and nothing is. */
bool rush_turns(struct rush *rush, bool pressed, lb_time now);

/* The same, and has the kernel see to it: by the thread itself. If somebody else has given the
 * thread another way to be scheduled that stays, and it never goes before others again. */
void rush_look(struct rush *rush, bool pressed, lb_time now);

#endif
