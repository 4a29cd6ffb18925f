/*
 * How long a process takes to adopt the flows that another one left.
 */
#ifndef BENCH_ADOPTION_H
#define BENCH_ADOPTION_H

#include "measure.h"

#include <stdint.h>

/* In ms, of so many open flows. */
void adoption_measure(struct figure *ret, uint32_t flows, unsigned runs);

#endif
