/*
 * SplitMix64 (Steele, Lea and Flood 2014): small, and the same everywhere.
 */
#include "random.h"

#include <stdlib.h>
#include <time.h>

static uint64_t seed, state;

void random_choose_seed(const char *text)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = text ? strtoull(text, NULL, 0)
	            : (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	state = seed;
}

uint64_t random_seed(void)
{
	return seed;
}

void random_restart(uint64_t from)
{
	state = from;
}

uint64_t random_next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint32_t random_below(uint32_t n)
{
	return (uint32_t)((random_next() >> 32) * n >> 32);
}

void random_bytes(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(random_next() >> 56);
}
