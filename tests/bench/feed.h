/*
 * The ring of frames that a test run goes through, one after the other, in memory that the program
 * feed and the process have in common: compiled for both. Each frame meets two programs, as at a
 * port: the first one, then the second one.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <stdint.h>

enum {
	FEED_RING = 1024,
	FEED_BYTES = 64, /* of a frame; the rest of it stays as it is */
	FEED_SIDES = 2,
	FEED_STEPS = 2, /* programs that a frame meets */
	FEED_TARGETS = FEED_SIDES * FEED_STEPS,
};

struct feed_frame {
	uint8_t data[FEED_BYTES];
	uint32_t side; /* by which it comes, which says to which of the programs it goes */
	uint32_t unused;
};

struct feed {
	uint32_t next; /* step of a frame */
	uint32_t unused;
	struct feed_frame frames[FEED_RING];
};

/* Among the targets, the program that a frame from that side meets at that step. */
static inline uint32_t feed_target(uint32_t step, uint32_t side)
{
	return step * FEED_SIDES + side;
}

#endif
