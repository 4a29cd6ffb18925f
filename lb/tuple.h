/*
 * The addresses and ports of a TCP packet, and their keyed hash. IPv6 addresses go by their names:
 * see name.h.
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
 * tables) of n words, the last one with the length in its top byte: without the key nobody can aim
 * flows at one bucket. The words are read in the machine's order, so a big-endian machine hashes
 * differently, but as well.
 */
static inline uint64_t siphash(const struct hash_key *key, const uint64_t *words, unsigned n)
{
	uint64_t v[4] = {
	        key->k[0] ^ 0x736f6d6570736575ull,
	        key->k[1] ^ 0x646f72616e646f6dull,
	        key->k[0] ^ 0x6c7967656e657261ull,
	        key->k[1] ^ 0x7465646279746573ull,
	};

	for (unsigned i = 0; i < n; i++) {
		v[3] ^= words[i];
		siphash_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	siphash_round(v);
	siphash_round(v);
	siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t tuple_hash(const struct hash_key *key, const struct tuple *t)
{
	uint64_t words[2] = {0, (uint64_t)sizeof(*t) << 56};
	uint32_t ports;

	memcpy(&words[0], &t->src, sizeof(words[0]));
	memcpy(&ports, &t->sport, sizeof(ports));
	words[1] |= ports;
	return siphash(key, words, 2);
}

static inline uint64_t ip6_hash(const struct hash_key *key, const struct ip6 *ip)
{
	uint64_t words[3] = {0, 0, (uint64_t)sizeof(*ip) << 56};

	memcpy(words, ip, sizeof(*ip));
	return siphash(key, words, 3);
}

/* Four bytes for an address: the same everywhere, as they depend on no key. */
static inline be32 ip6_digest(const struct ip6 *ip)
{
	static const struct hash_key unkeyed;

	return be32_from((uint32_t)ip6_hash(&unkeyed, ip));
}

#endif
