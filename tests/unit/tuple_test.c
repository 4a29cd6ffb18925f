/*
 * SipHash-1-3 against a byte-wise one, which is itself checked against the published vector.
 */
#include "frames.h"
#include "random.h"
#include "suites.h"

#include "../../lb/tuple.h"

static uint64_t le64(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static uint64_t rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static void rounds(uint64_t v[4], int n)
{
	for (; n > 0; n--) {
		v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
		v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
	}
}

/* SipHash-c-d as in the paper's section 2. */
static uint64_t paper_siphash(int c, int d, const uint64_t k[2], const uint8_t *p, unsigned len)
{
	uint64_t v[4] = {k[0] ^ 0x736f6d6570736575, k[1] ^ 0x646f72616e646f6d,
	                 k[0] ^ 0x6c7967656e657261, k[1] ^ 0x7465646279746573};
	uint64_t last = (uint64_t)len << 56 | le64(p + len / 8 * 8, len % 8);

	for (unsigned i = 0; i < len / 8; i++) {
		v[3] ^= le64(p + 8 * i, 8);
		rounds(v, c);
		v[0] ^= le64(p + 8 * i, 8);
	}
	v[3] ^= last;
	rounds(v, c);
	v[0] ^= last;
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

START_TEST(oracle_has_the_paper_s_vector)
{
	const uint64_t k[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t message[15];

	for (uint8_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	require(paper_siphash(2, 4, k, message, sizeof(message)) == 0xa129ca6149be45e5);
}
END_TEST

START_TEST(hash_is_siphash_1_3)
{
	for (unsigned i = 0; i < 1000; i++) {
		struct hash_key key = {{random_next(), random_next()}};
		struct tuple tuple;
		uint8_t bytes[sizeof(tuple)];

		random_bytes(bytes, sizeof(bytes));
		memcpy(&tuple, bytes, sizeof(tuple));
		require(tuple_hash(&key, &tuple) ==
		        paper_siphash(1, 3, key.k, bytes, sizeof(bytes)));
	}
}
END_TEST

START_TEST(reverse_of_reverse)
{
	const struct tuple t = {ip4(1, 2, 3, 4), ip4(5, 6, 7, 8), be16_from(9), be16_from(10)};
	const struct tuple back = tuple_reverse(t), again = tuple_reverse(back);

	require(!tuple_eq(&t, &back));
	require(tuple_eq(&t, &again));
	require(be32_eq(back.src, t.dst) && be16_eq(back.dport, t.sport));
}
END_TEST

Suite *tuple_suite(void)
{
	const TTest *const tests[] = {oracle_has_the_paper_s_vector, hash_is_siphash_1_3,
	                              reverse_of_reverse, NULL};

	return suite_of("tuple", tests);
}
