/*
 * Memory from the system, for what is taken in one piece at start.
 */
#ifndef BRIDGE_MEMORY_H
#define BRIDGE_MEMORY_H

#include <stddef.h>

struct memory {
	void *at; /* aligned to a page at least */
	size_t bytes;
};

/*
 * Takes bytes, all zero, in huge pages if there are any. The caller should write to all of it
 * before it is needed fast: only then the kernel really provides the pages. Returns 0, or -ENOMEM
 * with the reason logged; then memory->at is NULL.
 */
int memory_take(struct memory *memory, size_t bytes);

/* Gives it back; memory->at may be NULL. */
void memory_free(struct memory *memory);

#endif
