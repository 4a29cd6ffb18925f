/*
 * The programs in the kernel over the same flows: frames go through them by test runs.
 */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include "subject.h"

struct program;

/*
 * Moves the engine of subject, which has no flow yet, to arrays that the programs read. NULL, with
 * nothing moved, where programs can't be loaded.
 */
struct program *program_open(struct subject *subject);
void program_close(struct program *program); /* may be NULL */

/*
 * Passes in n frames of one length, at most a ring (feed.h), nearly all of which must be forwarded.
 * Returns the time that it took, in ns, less that of a program that does nothing. The frames stay
 * as they are.
 */
uint64_t program_input(struct program *program, const struct frame *frames, unsigned n);

#endif
