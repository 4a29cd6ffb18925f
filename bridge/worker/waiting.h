/*
 * Frames that wait until it is known where they go.
 */
#ifndef BRIDGE_WAITING_H
#define BRIDGE_WAITING_H

#include "../../lb/frame.h"

enum {
	WAITING_SLOTS = 64,   /* frames, whatever they wait for */
	WAITING_BYTES = 1600, /* one Ethernet frame of standard size with its tags */
};

struct waiting_frame {
	uint8_t bytes[FRAME_HEADROOM + WAITING_BYTES];
	struct frame frame;
	uint32_t what;  /* it waits for: a number of the caller's */
	uint64_t order; /* earlier ones are sent first */
	bool used, ready;
};

/* All zeros: none. */
struct waiting {
	unsigned n;
	uint64_t order; /* the next one's */
	struct waiting_frame frames[WAITING_SLOTS];
};

/* Keeps a copy of frame, with its checksum completed; false if there is no place. */
bool waiting_put(struct waiting *waiting, uint32_t what, const struct frame *frame);

/* Marks what waits for that as ready (waiting_next()). */
void waiting_release(struct waiting *waiting, uint32_t what);

/* Drops what waits for that, and returns how many they were. */
unsigned waiting_drop(struct waiting *waiting, uint32_t what);

/* Takes out the first of those that are ready; false if there is none. ret is valid until the next
 * waiting_put(). */
bool waiting_next(struct waiting *waiting, struct frame *ret, uint32_t *ret_what);

#endif
