/*
 * A sieve as instructions of a program in the kernel.
 */
#ifndef BRIDGE_SIFTING_H
#define BRIDGE_SIFTING_H

#include "code.h"
#include "sieve.h"

/*
 * Appends them: they look at the image of the frame (struct filter_image, whose register is
 * CLASSIC_IMAGE), and leave in its `candidates` which filters have passed. The program ends with
 * TC_ACT_UNSPEC if none has. R0 to R4 are lost.
 */
void sifting_add(struct code *code, const struct sieve *sieve);

#endif
