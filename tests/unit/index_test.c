/*
 * The index against a plain array of what is in it.
 */
#include "random.h"
#include "suites.h"

#include "../../lb/index.h"

#include <stdlib.h>

enum { ENTRIES_MAX = 3000 };

struct entry {
	uint64_t hash;
	uint32_t ref;
};

static struct entry entries[ENTRIES_MAX];
static uint32_t nentries;

/* An index for n entries, in memory that isn't zero. */
static void *lay_out(struct index *index, uint32_t n)
{
	struct arena measure = {0}, arena = {0};

	index_lay_out(index, &measure, n);
	ck_assert_ptr_null(index->buckets);
	arena.base = aligned_alloc(ARENA_ALIGN, measure.used);
	memset(arena.base, 0xa5, measure.used);
	index_lay_out(index, &arena, n);
	require_eq(arena.used, measure.used);
	nentries = 0;
	return arena.base;
}

static uint64_t hash_of(uint8_t tag, uint32_t low)
{
	return (uint64_t)tag << 56 | low;
}

/* Whether a walk for hash meets ref; ends the test if it meets what isn't in the index. */
static bool walk_meets(const struct index *index, uint64_t hash, uint32_t ref)
{
	struct index_walk walk = index_start(index, hash);
	uint32_t got, met = 0;

	for (uint32_t steps = 0; (got = index_next(index, &walk)) != INDEX_NONE; steps++) {
		uint32_t i = 0;

		require(steps <= nentries);
		while (i < nentries && entries[i].ref != got)
			i++;
		if (i == nentries)
			ck_abort_msg("a walk met %u, which isn't in the index", got);
		met += got == ref;
	}
	require(met <= 1);
	return met;
}

static void add(struct index *index, uint64_t hash, uint32_t ref)
{
	index_add(index, hash, ref);
	entries[nentries++] = (struct entry){hash, ref};
}

static void remove_at(struct index *index, uint32_t i)
{
	struct entry gone = entries[i];

	index_remove(index, gone.hash, gone.ref);
	entries[i] = entries[--nentries];
	require(!walk_meets(index, gone.hash, gone.ref));
}

static void check_all(const struct index *index)
{
	for (uint32_t i = 0; i < nentries; i++)
		require(walk_meets(index, entries[i].hash, entries[i].ref));
}

static void check_empty(const struct index *index)
{
	for (uint32_t b = 0; b < index->nbuckets; b++) {
		require_eq(index->buckets[b].passed, 0);
		require_eq(index_match(&index->buckets[b], 0), 0xfff);
	}
}

/* Home buckets, of which few: so that they overflow; tags, the odd ones often. */
static uint64_t random_hash(uint32_t homes)
{
	static const uint8_t odd[] = {0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff};
	uint8_t tag = random_below(2) ? odd[random_below(sizeof(odd))] : (uint8_t)random_next();
	uint32_t home =
	        homes ? random_below(homes) * (UINT32_MAX / homes) : (uint32_t)random_next();

	return hash_of(tag, home);
}

static void churn(uint32_t capacity, uint32_t homes)
{
	struct index index;
	void *mem = lay_out(&index, capacity);
	uint32_t next = 1;

	for (uint32_t i = 0; i < 20 * capacity + 100; i++) {
		bool grow = nentries < capacity &&
		            (nentries == 0 || random_below(100) < (i / capacity % 2 ? 30 : 70));

		if (grow)
			add(&index, random_hash(homes), next++);
		else
			remove_at(&index, random_below(nentries));
		if (i % (capacity / 4 + 1) == 0)
			check_all(&index);
	}
	check_all(&index);
	while (nentries)
		remove_at(&index, nentries - 1);
	check_empty(&index);
	free(mem);
}

START_TEST(random_use)
{
	churn(1, 0);
	churn(2, 0);
	churn(12, 1);
	churn(100, 0);
	churn(500, 0);
}
END_TEST

START_TEST(few_home_buckets_overflow)
{
	churn(100, 1);
	churn(300, 3);
	churn(400, 7);
}
END_TEST

START_TEST(equal_hashes_to_the_brim)
{
	struct index index;
	void *mem = lay_out(&index, 600);

	/* the last bucket is home: overflow goes around */
	for (uint32_t i = 0; i < 600; i++)
		add(&index, hash_of(0, UINT32_MAX), i * 2 + 1);
	check_all(&index);
	require(!walk_meets(&index, hash_of(9, UINT32_MAX), 5));
	while (nentries)
		remove_at(&index, random_below(nentries));
	check_empty(&index);
	free(mem);
}
END_TEST

START_TEST(full_capacity)
{
	struct index index;
	void *mem = lay_out(&index, ENTRIES_MAX);

	for (uint32_t i = 0; i < ENTRIES_MAX; i++)
		add(&index, random_next(), i);
	check_all(&index);
	free(mem);
}
END_TEST

/* index_match() may take a byte above a match for one too: it mustn't be a slot that has been
 * freed. */
START_TEST(removed_entry_is_not_found_beside_its_tag)
{
	for (unsigned tag = 0; tag < 256; tag++) {
		struct index index;
		void *mem = lay_out(&index, 100);

		add(&index, hash_of((uint8_t)tag, 0), 1);
		add(&index, hash_of((uint8_t)tag, 0), 2);
		remove_at(&index, 1);
		require(!walk_meets(&index, hash_of((uint8_t)tag, 0), 2));
		free(mem);
	}
}
END_TEST

/* All true matches are reported, and never a slot below the first one. */
START_TEST(match_misses_nothing)
{
	for (unsigned i = 0; i < 100000; i++) {
		struct bucket bucket = {0};
		uint8_t tag = (uint8_t)random_below(4);
		uint32_t truth = 0, got;

		for (unsigned s = 0; s < INDEX_SLOTS; s++) {
			bucket.tag[s] = (uint8_t)(random_below(4) ^ (random_below(8) ? 0 : 0x80));
			truth |= (uint32_t)(bucket.tag[s] == tag) << s;
		}
		got = index_match(&bucket, tag);
		require_eq(got & truth, truth);
		require(truth ? __builtin_ctz(got) == __builtin_ctz(truth) : !got);
	}
}
END_TEST

Suite *index_suite(void)
{
	const TTest *const tests[] = {random_use,
	                              few_home_buckets_overflow,
	                              equal_hashes_to_the_brim,
	                              full_capacity,
	                              removed_entry_is_not_found_beside_its_tag,
	                              match_misses_nothing,
	                              NULL};

	return suite_of("index", tests);
}
