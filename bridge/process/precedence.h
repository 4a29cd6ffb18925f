/*
 * Whose turn it is: threads that go before others when several want a processor.
 *
 * Only who is privileged may take precedence, so the process does so before it shuts itself in, and
 * its threads inherit it: those that needn't have it give it up.
 */
#ifndef BRIDGE_PRECEDENCE_H
#define BRIDGE_PRECEDENCE_H

enum { PRECEDENCE_NICE = -20 };

/*
 * The calling thread, the only one as yet, gets nice value PRECEDENCE_NICE (setpriority(2)), if it
 * may. Not where there is one processor only, as all else would wait for it then, nor if the
 * process was started with a nice value of its own: then the operator has chosen.
 */
void precedence_take(void);

/* The calling thread is one among others again, if precedence was taken. */
void precedence_give_up(void);

#endif
