/*
 * The ring of frames that a test run goes through, one after the other, in memory that the program
 * feed and the process have in common: compiled for both.
 */
#ifndef BENCH_FEED_H
#define BENCH_FEED_H

#include <stdint.h>

enum {
	FEED_RING = 1024,
	FEED_BYTES = 64, /* of a frame; the rest of it stays as it is */
	FEED_TARGETS = 2,
};

struct feed_frame {
	uint8_t data[FEED_BYTES];
	uint32_t target; /* which of the programs it goes to */
	uint32_t unused;
};

struct feed {
	uint32_t next; /* frame */
	uint32_t l3;   /* where the network header is, said by the first program to the second */
	struct feed_frame frames[FEED_RING];
};

#endif
