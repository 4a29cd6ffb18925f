/*
 * Parts of the engine measured alone, for what is only seen at a size.
 */
#ifndef BENCH_SOLE_H
#define BENCH_SOLE_H

#include "measure.h"
#include "../../lb/rules.h"

struct sole {
	struct figure pick[RULES_NSCHEDULERS]; /* ns of pick_server() and what goes with it */
	struct figure port_half, port_full; /* ns of taking a port, and giving another one back */
};

typedef void sole_printer(const char *what, const char *unit, const struct figure *figure,
                          int digits);

/* Each run is cut to that part of its usual length. */
void sole_measure(struct sole *sole, unsigned runs, unsigned part);
void sole_print(const struct sole *sole, sole_printer *print);

#endif
