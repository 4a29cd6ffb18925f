/*
 * How much of the system the process may use.
 */
#ifndef BRIDGE_LIMITS_H
#define BRIDGE_LIMITS_H

/*
 * Lets the process open as many files as it may ever need to: a connection log for each farm, twice
 * while a reload goes over from one to the other. What isn't granted is no reason not to start:
 * most need few.
 */
void limits_raise(void);

/* If stacks may be as large as they may ever need to be. Returns 0, or -ENOMEM with the reason
 * logged. */
int limits_check_stack(void);

/* The processors that the calling thread may run on. */
unsigned limits_processors(void);

#endif
