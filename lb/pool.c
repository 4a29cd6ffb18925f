/*
 * A bitmap of busy ports, and above it a bitmap of words without a free one.
 */
#include "pool.h"

void pool_mark_busy(struct pool *pool, uint32_t port)
{
	uint64_t *word = &pool->busy[port / POOL_WORD];

	*word |= 1ull << port % POOL_WORD;
	if (!~*word)
		pool->full[port / POOL_WORD / POOL_WORD] |= 1ull << port / POOL_WORD % POOL_WORD;
}

void pool_mark_free(struct pool *pool, uint32_t port)
{
	pool->busy[port / POOL_WORD] &= ~(1ull << port % POOL_WORD);
	pool->full[port / POOL_WORD / POOL_WORD] &= ~(1ull << port / POOL_WORD % POOL_WORD);
}

/* The first clear bit at or after from among n (a multiple of 64) in map, or n. */
static uint32_t find_clear(const uint64_t *map, uint32_t n, uint32_t from)
{
	for (uint32_t w = from / POOL_WORD; w < n / POOL_WORD; w++) {
		uint64_t clear = ~map[w];

		if (w == from / POOL_WORD)
			clear &= ~0ull << from % POOL_WORD;
		if (clear)
			return w * POOL_WORD + (uint32_t)__builtin_ctzll(clear);
	}
	return n;
}

uint32_t pool_find_free(const struct pool *pool, uint32_t from)
{
	uint32_t in_word = find_clear(&pool->busy[from / POOL_WORD], POOL_WORD, from % POOL_WORD);
	uint32_t word;

	if (in_word < POOL_WORD)
		return from / POOL_WORD * POOL_WORD + in_word;
	if (from / POOL_WORD + 1 == POOL_WORDS)
		return POOL_PORTS;
	word = find_clear(pool->full, POOL_WORDS, from / POOL_WORD + 1);
	if (word == POOL_WORDS)
		return POOL_PORTS;
	return word * POOL_WORD + find_clear(&pool->busy[word], POOL_WORD, 0);
}

/* Counts the bits that are set: adds up pairs of bits, then fours, and so on. */
static uint32_t count_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555;
	word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (uint32_t)(word * 0x0101010101010101 >> 56);
}

uint32_t pool_room(const struct pool *pool)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < POOL_WORDS; w++)
		n += count_bits(~pool->busy[w]);
	return n;
}
