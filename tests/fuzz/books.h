/*
 * What must hold of the engine at any time: its books balance.
 */
#ifndef FUZZ_BOOKS_H
#define FUZZ_BOOKS_H

#include "../../lb/lb.h"

/* Aborts unless they do, so many frames having been put in. */
void books_check(const struct lb *lb, uint64_t nframes);

/* The same of what is kept of clients that have limits, which takes longer. */
void books_check_limits(const struct lb *lb);

#endif
