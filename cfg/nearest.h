/*
 * The known name that a misspelt one most likely stands for.
 */
#ifndef CFG_NEAREST_H
#define CFG_NEAREST_H

/* Start with .word set and the rest zero, offer every known name, then ask for the best. */
struct nearest {
	const char *word;
	const char *best;
	unsigned distance;
};

/* Keeps the pointer candidate while it is the nearest; of equals, the first. */
void nearest_offer(struct nearest *nearest, const char *candidate);

/* Returns the nearest of those offered, or NULL if none is near enough to be meant. */
const char *nearest_best(const struct nearest *nearest);

#endif
