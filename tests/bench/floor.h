/*
 * The least that balancing a packet can cost: find its flow in the engine's own arrays and rewrite
 * it, for a burst at a time as the engine does; no reading of headers, no judging, no counting, no
 * verdict. Figures of the engine mean the same on any machine as a ratio to this.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include "../../lb/lb.h"

/* n plain IPv4 frames of TCP on open flows; n is at most FLOOR_BURST. Returns how many had one. */
enum { FLOOR_BURST = 32 };
unsigned floor_input(const struct flows *flows, struct frame *frames, unsigned n);

#endif
