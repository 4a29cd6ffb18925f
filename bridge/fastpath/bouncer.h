/*
 * Programs that drop SYNs before a worker's sockets which its engine would drop (lb/barred.h), one
 * for each side. Each worker has its own.
 */
#ifndef BRIDGE_BOUNCER_H
#define BRIDGE_BOUNCER_H

#include "../../lb/barred.h"

struct bouncer;

/*
 * Loads the programs. Returns 0 and sets *ret, or a negative errno, as without CAP_BPF: then there
 * are none, and the worker gets all that comes.
 */
int bouncer_open(struct bouncer **ret);

/* Sockets that have a program keep it. bouncer may be NULL. */
void bouncer_close(struct bouncer *bouncer);

/* The table by which they drop. */
struct barred *bouncer_table(const struct bouncer *bouncer);

/* The program for a socket of that side, as a descriptor, which stays the bouncer's. */
int bouncer_program_fd(const struct bouncer *bouncer, enum side side);

#endif
