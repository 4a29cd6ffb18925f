/*
 * What must hold of each frame that has been through the engine: only what is forwarded is changed,
 * in nothing but addresses, ports and checksums, and what was wrong with its checksums before is
 * wrong with them afterwards, no more and no less.
 */
#ifndef FUZZ_WITNESS_H
#define FUZZ_WITNESS_H

#include "../../lb/frame.h"

enum { WITNESS_BYTES = 8192 };

struct witness {
	uint32_t len;
	uint8_t flags;
	uint8_t bytes[WITNESS_BYTES];
};

/* Remembers the frame; of a longer one, the first WITNESS_BYTES. */
void witness_before(struct witness *witness, const struct frame *frame);

/* If the frame is the same; or a translation of it. */
bool witness_same(const struct witness *witness, const struct frame *frame);
bool witness_translated(const struct witness *witness, const struct frame *frame);

#endif
