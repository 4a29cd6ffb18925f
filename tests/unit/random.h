/*
 * Random input that can be had again: SEED=n in the environment.
 */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Before the first test: text is the seed, or NULL to take one from the clock. */
void random_choose_seed(const char *text);
uint64_t random_seed(void);

/* Begins anew, for a test whose parts can be repeated one by one. */
void random_restart(uint64_t from);

/* Each test is a process of its own, hence begins with the seed. */
uint64_t random_next(void);
uint32_t random_below(uint32_t n);
void random_bytes(uint8_t *p, size_t len);

#endif
