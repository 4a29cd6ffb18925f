/*
 * A function stopped after each write to some memory, which can be looked at then as another
 * processor might see it.
 */
#ifndef UNIT_STEPS_H
#define UNIT_STEPS_H

#include <stdbool.h>
#include <stddef.h>

enum { STEPS_AREAS_MAX = 16 };

struct steps_area {
	void *at;
	size_t bytes;
};

/* If that can be done here. */
bool steps_can_be_taken(void);

/* Calls work, and after each of its writes to one of n areas, or near them, look, in a signal's
 * handler. */
void steps_take(const struct steps_area *areas, unsigned n, void (*work)(void), void (*look)(void));

#endif
