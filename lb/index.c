/*
 * Filling and emptying the index; looking up is inline in index.h.
 *
 * When it is as full as it gets, 7 of 12 slots are used on average, and one bucket in forty
 * overflows.
 */
#include "index.h"

#include "both.h"
#include "table.h"

enum { INDEX_MEAN_LOAD = 7 };

void index_lay_out(struct index *index, struct arena *arena, uint32_t entries)
{
	index->nbuckets = entries / INDEX_MEAN_LOAD + 1;
	index->buckets = table_take(arena, TABLE_BUCKETS, index->nbuckets, sizeof(*index->buckets));
	if (index->buckets && !table_keeps(arena))
		memset(index->buckets, 0, index->nbuckets * sizeof(*index->buckets));
}

static uint32_t next_bucket(const struct index *index, uint32_t bucket)
{
	return bucket + 1 == index->nbuckets ? 0 : bucket + 1;
}

/* The order of bytes in a word decides which bit index_match() gives to which slot. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "index_match() numbers slots from the low byte");

static void count_passed(struct bucket *bucket, int by)
{
	BOTH_WRITE(bucket->passed, (uint16_t)(bucket->passed + by));
}

void index_add(struct index *index, uint64_t hash, uint32_t ref)
{
	uint32_t b = index_bucket(index, hash);
	uint32_t match;

	while (!(match = index_match(&index->buckets[b], 0))) {
		count_passed(&index->buckets[b], 1);
		b = next_bucket(index, b);
	}
	unsigned slot = (unsigned)__builtin_ctz(match);

	/* written before the tag: a reader who finds that finds the reference as well */
	BOTH_WRITE(index->buckets[b].ref[slot], ref);
	BOTH_WRITE_LAST(index->buckets[b].tag[slot], index_tag(hash));
}

/* The slot of bucket that holds ref, or -1. */
static int slot_of(const struct bucket *bucket, uint8_t tag, uint32_t ref)
{
	for (uint32_t match = index_match(bucket, tag); match; match &= match - 1) {
		int slot = __builtin_ctz(match);

		if (bucket->tag[slot] == tag && bucket->ref[slot] == ref)
			return slot;
	}
	return -1;
}

void index_remove(struct index *index, uint64_t hash, uint32_t ref)
{
	uint32_t b = index_bucket(index, hash);
	int slot;

	while ((slot = slot_of(&index->buckets[b], index_tag(hash), ref)) < 0) {
		count_passed(&index->buckets[b], -1);
		b = next_bucket(index, b);
	}
	BOTH_WRITE(index->buckets[b].tag[slot], (uint8_t)0);
}
