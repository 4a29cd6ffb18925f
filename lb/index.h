/*
 * From the hash of a tuple to the flow and end that it may belong to.
 *
 * Buckets are one cache line: twelve one-byte tags, looked at together, and twelve references. A
 * full bucket overflows into the next; each bucket counts how many entries passed it on their way,
 * so that a lookup stops where none did and a removal leaves no tombstone. The index only
 * remembers hashes: comparing the tuples is flows.c's.
 */
#ifndef LB_INDEX_H
#define LB_INDEX_H

#include "arena.h"
#include "bytes.h"

enum { INDEX_SLOTS = 12 };
#define INDEX_NONE UINT32_MAX

struct bucket {
	uint8_t tag[INDEX_SLOTS]; /* 0: free */
	uint16_t passed; /* entries that stand in a later bucket because this one was full */
	uint16_t unused;
	uint32_t ref[INDEX_SLOTS];
};

static_assert(sizeof(struct bucket) == 64, "one cache line");

struct index {
	struct bucket *buckets;
	uint32_t nbuckets;
};

/* A walk over the entries that may be the wanted one. */
struct index_walk {
	uint32_t bucket;
	uint32_t matches; /* slots of bucket that are still to be looked at, as bits */
	uint32_t left;    /* buckets that may still be visited */
	uint8_t tag;
};

/* Takes an empty index from arena, for at most so many entries. */
void index_lay_out(struct index *index, struct arena *arena, uint32_t entries);

/* There must be fewer entries than index_lay_out() was told; equal hashes are fine. */
void index_add(struct index *index, uint64_t hash, uint32_t ref);

/* Removes the entry, which must be there. */
void index_remove(struct index *index, uint64_t hash, uint32_t ref);

/* The home bucket: the hash's low half, scaled to the number of buckets. */
static inline uint32_t index_home(uint32_t nbuckets, uint64_t hash)
{
	return (uint32_t)((hash & 0xffffffff) * nbuckets >> 32);
}

static inline uint32_t index_bucket(const struct index *index, uint64_t hash)
{
	return index_home(index->nbuckets, hash);
}

/* Never 0, which is free, nor 1, which index_match() might take for 0 or 0 for it. */
static inline uint8_t index_tag(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);

	return tag > 1 ? tag : (uint8_t)(tag + 2);
}

/*
 * The slots whose tag equals tag, as bits 0-11, the twelve tags being given as words.
 *
 * Eight bytes at a time: a byte is zero if subtracting one borrows into its top bit. A one above a
 * zero may be taken for a zero as well: a tag that differs in the lowest bit, which costs a
 * comparison and no more; index_tag() sees to it that it isn't a free slot.
 */
static inline uint32_t index_match_words(uint32_t first, uint32_t second, uint32_t third,
                                         uint8_t tag)
{
	const uint64_t ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
	uint64_t low = ((uint64_t)second << 32 | first) ^ ones * tag;
	uint64_t high = (third ^ (uint32_t)(ones * tag)) | 0xffffffff00000000ull;

	low = (low - ones) & ~low & tops;
	high = (high - ones) & ~high & tops;
	/* gathers the eight top bits into one byte */
	low = (low >> 7) * 0x0102040810204080ull >> 56;
	high = (high >> 7) * 0x0102040810204080ull >> 56;
	return (uint32_t)(low | high << 8) & 0xfff;
}

/* The same of a bucket. */
static inline uint32_t index_match(const struct bucket *bucket, uint8_t tag)
{
#ifdef __SSE2__
	typedef char bytes_16 __attribute__((vector_size(16)));
	bytes_16 tags; /* and what follows them */

	memcpy(&tags, bucket, sizeof(tags));
	return (uint32_t)__builtin_ia32_pmovmskb128((bytes_16)(tags == (char)tag)) & 0xfff;
#else
	return index_match_words(word32_load(bucket->tag), word32_load(bucket->tag + 4),
	                         word32_load(bucket->tag + 8), tag);
#endif
}

static inline struct index_walk index_start(const struct index *index, uint64_t hash)
{
	struct index_walk walk = {.bucket = index_bucket(index, hash),
	                          .left = index->nbuckets - 1,
	                          .tag = index_tag(hash)};

	walk.matches = index_match(&index->buckets[walk.bucket], walk.tag);
	return walk;
}

/* The next entry that may be the wanted one, or INDEX_NONE. */
static inline uint32_t index_next(const struct index *index, struct index_walk *walk)
{
	while (!walk->matches) {
		if (!index->buckets[walk->bucket].passed || !walk->left)
			return INDEX_NONE;
		walk->left--;
		walk->bucket = walk->bucket + 1 == index->nbuckets ? 0 : walk->bucket + 1;
		walk->matches = index_match(&index->buckets[walk->bucket], walk->tag);
	}
	unsigned slot = (unsigned)__builtin_ctz(walk->matches);

	walk->matches &= walk->matches - 1;
	return index->buckets[walk->bucket].ref[slot];
}

/* Entries of the home bucket that may be the wanted one: the first two, INDEX_NONE for none. */
static inline uint32_t index_guess(const struct index *index, uint64_t hash, uint32_t *ret_second)
{
	const struct bucket *home = &index->buckets[index_bucket(index, hash)];
	uint32_t match = index_match(home, index_tag(hash)), rest = match & (match - 1);

	*ret_second = rest ? home->ref[__builtin_ctz(rest)] : INDEX_NONE;
	return match ? home->ref[__builtin_ctz(match)] : INDEX_NONE;
}

static inline void index_prefetch(const struct index *index, uint64_t hash)
{
	__builtin_prefetch(&index->buckets[index_bucket(index, hash)]);
}

#endif
