/*
 * Memory that runs out: the linker sends all allocations of the code under test through here.
 */
#ifndef UNIT_MEMORY_H
#define UNIT_MEMORY_H

#include <stdbool.h>

/* The n-th allocation from now on fails, once; 0: none does. */
void memory_fail_at(unsigned n);

/* If it has come to that; from now on none fails. */
bool memory_has_failed(void);

#endif
