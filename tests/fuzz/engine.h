/*
 * An engine with two small farms for the fuzzers, and what must hold of it at any time.
 */
#ifndef FUZZ_ENGINE_H
#define FUZZ_ENGINE_H

#include "../../lb/lb.h"

/* Ready for frames; the same each time. */
struct lb *engine_new(lb_time now);
void engine_free(struct lb *lb);

/* Goes over to the other of two sets of rules: servers and a farm come and go. */
void engine_reload(struct lb *lb, lb_time now);

/* Aborts unless the engine's books balance after so many frames. */
void engine_check(const struct lb *lb, uint64_t frames);

#endif
