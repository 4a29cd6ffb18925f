/*
 * A sieve as instructions of a program in the kernel.
 */
#ifndef BRIDGE_SIFTING_H
#define BRIDGE_SIFTING_H

#include "code.h"
#include "sieve.h"

/*
 * Appends them: they look at the image of the frame (struct filter_image, whose register is
 * CLASSIC_IMAGE), and leave in its `candidates` which filters have passed. The program, or
 * function, ends with that number if none has. R0 to R4 are lost.
 */
void sifting_add(struct code *code, const struct sieve *sieve, uint32_t none);

/*
 * The same, but they look at the frame itself, whose beginning and end are in these registers:
 * before there is an image, of which only `candidates` and `left` are written. The frame must be
 * what an image of it would be. Where it doesn't say all, because some of it is elsewhere or its
 * IPv4 header has options, more may pass than by the image, but never less.
 */
enum { SIFTING_DATA = 8, SIFTING_END = 9 };

void sifting_add_peek(struct code *code, const struct sieve *sieve, uint32_t none);

#endif
