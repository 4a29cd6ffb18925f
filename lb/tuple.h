/*
 * The addresses and ports of a TCP packet, and their keyed hash.
 */
#ifndef LB_TUPLE_H
#define LB_TUPLE_H

#include "bytes.h"

struct tuple {
	be32 src, dst;
	be16 sport, dport;
};

static_assert(sizeof(struct tuple) == 12, "tuple_hash() takes it as 12 bytes without padding");

static inline bool tuple_eq(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The tuple of a packet going the other way. */
static inline struct tuple tuple_reverse(struct tuple t)
{
	return (struct tuple){.src = t.dst, .dst = t.src, .sport = t.dport, .dport = t.sport};
}

struct hash_key {
	uint64_t k[2];
};

#define SIPHASH_ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = SIPHASH_ROTL(v[1], 13) ^ v[0];
	v[0] = SIPHASH_ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = SIPHASH_ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = SIPHASH_ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = SIPHASH_ROTL(v[1], 17) ^ v[2];
	v[2] = SIPHASH_ROTL(v[2], 32);
}

/*
 * SipHash-1-3 (Aumasson and Bernstein; the reduced rounds are those that Linux and Rust use for
 * tables) of the 12 bytes: without the key nobody can aim flows at one bucket. The words are read
 * in the machine's order, so a big-endian machine hashes differently, but as well.
 */
static inline uint64_t tuple_hash(const struct hash_key *key, const struct tuple *t)
{
	uint64_t v[4] = {
	        key->k[0] ^ 0x736f6d6570736575ull,
	        key->k[1] ^ 0x646f72616e646f6dull,
	        key->k[0] ^ 0x6c7967656e657261ull,
	        key->k[1] ^ 0x7465646279746573ull,
	};
	uint64_t addresses, last = (uint64_t)sizeof(*t) << 56;
	uint32_t ports;

	memcpy(&addresses, &t->src, sizeof(addresses));
	memcpy(&ports, &t->sport, sizeof(ports));
	last |= ports;

	v[3] ^= addresses;
	siphash_round(v);
	v[0] ^= addresses;
	v[3] ^= last;
	siphash_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	siphash_round(v);
	siphash_round(v);
	siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
