/*
 * The checksum against one that adds up byte by byte.
 */
#include "frames.h"
#include "random.h"
#include "suites.h"

#include "../../lb/csum.h"

enum { ROUNDS = 20000, BYTES = 1500 };

/* As a number, with the two zeros of one's complement made one. */
static uint16_t plain(uint16_t sum)
{
	uint8_t b[2];

	memcpy(b, &sum, sizeof(b));
	sum = frames_get16(b);
	return sum == 0xffff ? 0 : sum;
}

static uint16_t naive(const uint8_t *p, uint32_t len)
{
	uint16_t sum = frames_sum(p, len, 0);

	return sum == 0xffff ? 0 : sum;
}

START_TEST(sum_is_the_naive_one)
{
	uint8_t bytes[BYTES + 8];

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t at = random_below(8), len = random_below(i % 2 ? BYTES : 9);

		if (i % 7)
			random_bytes(bytes, sizeof(bytes));
		else
			memset(bytes, i % 14 ? 0xff : 0, sizeof(bytes));
		require_eq(plain(csum_fold(csum_add(0, bytes + at, len))), naive(bytes + at, len));
	}
}
END_TEST

START_TEST(fold_takes_any_sum)
{
	const uint64_t sums[] = {0,
	                         1,
	                         0xffff,
	                         0x10000,
	                         0xffffffff,
	                         0x100000000,
	                         0x1fffe,
	                         0xffff0000,
	                         0xffffffffffffffff,
	                         0xfffffffeffffffff,
	                         0xffff0001,
	                         0x1ffffffff};

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t sum = i < sizeof(sums) / sizeof(sums[0]) ? sums[i] : random_next();

		/* 2^16 is 1 modulo 2^16 - 1 */
		require_eq(csum_fold(sum) % 0xffff, sum % 0xffff);
		require(sum == 0 || csum_fold(sum) != 0);
	}
}
END_TEST

START_TEST(zero_only_from_zeros)
{
	const uint8_t zeros[16] = {0}, ones[2] = {0xff, 0xff};

	require_eq(csum_fold(csum_add(0, zeros, 16)), 0);
	require_eq(csum_fold(csum_add(0, ones, 2)), 0xffff);
	require_eq(csum_fold(csum_add(5, zeros, 0)), 5);
}
END_TEST

/* Changes a word of a summed up message; the update must be what adding up anew gives. */
static void update_once(bool partial, bool wide)
{
	uint8_t bytes[36], field[2];
	uint32_t at = random_below(9) * 4;
	be32 old, new = be32_from((uint32_t)random_next());
	uint16_t before, got;
	csum_acc change;

	random_bytes(bytes, sizeof(bytes));
	if (random_below(4) == 0)
		memset(bytes + at, random_below(2) ? 0xff : 0, 4);
	before = frames_sum(bytes, sizeof(bytes), 0);
	frames_put16(field, partial ? before : (uint16_t)~before);
	old = be32_load(bytes + at);
	if (random_below(4) == 0)
		new = be32_from(random_below(2) ? 0 : 0xffffffff);
	if (wide) {
		be32_store(bytes + at, new);
		change = csum_change32(old, new);
	} else {
		be16_store(bytes + at, be16_load(new.b));
		change = csum_change16(be16_load(old.b), be16_load(new.b));
	}
	if (partial)
		csum_update_partial(field, change);
	else
		csum_update(field, change);
	got = frames_get16(field);
	require_eq((partial ? got : (uint16_t)~got) % 0xffff,
	           frames_sum(bytes, sizeof(bytes), 0) % 0xffff);
}

START_TEST(update_is_adding_up_anew)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		update_once(i & 1, i & 2);
}
END_TEST

/* RFC 1624, section 4: eqn. 2 would give 0xffff here. */
START_TEST(example_of_rfc_1624)
{
	uint8_t field[2] = {0xdd, 0x2f};

	csum_update(field, csum_change16(be16_from(0x5555), be16_from(0x3285)));
	require_eq(frames_get16(field), 0x0000);
}
END_TEST

START_TEST(pseudo_header)
{
	const uint8_t bytes[12] = {10, 0, 0, 40, 192, 168, 1, 255, 0, 6, 0xfe, 0xdc};
	csum_acc sum = csum_pseudo(ip4(10, 0, 0, 40), ip4(192, 168, 1, 255), 6, 0xfedc);

	require_eq(plain(csum_fold(sum)), naive(bytes, sizeof(bytes)));
}
END_TEST

Suite *csum_suite(void)
{
	const TTest *const tests[] = {sum_is_the_naive_one,
	                              fold_takes_any_sum,
	                              zero_only_from_zeros,
	                              update_is_adding_up_anew,
	                              example_of_rfc_1624,
	                              pseudo_header,
	                              NULL};

	return suite_of("csum", tests);
}
