/*
 * The addresses and ports of a TCP packet, and their keyed hash. IPv6 addresses go by their names:
 * see name.h.
 */
#ifndef LB_TUPLE_H
#define LB_TUPLE_H

#include "bytes.h"

struct tuple {
	_Alignas(uint32_t) be32 src;
	be32 dst;
	be16 sport, dport;
};

static_assert(sizeof(struct tuple) == 12, "tuple_hash() takes it as 12 bytes without padding");

/*
 * Both addresses and both ports as words, in the machine's order. Tuples are written and read by
 * these on the way of each packet: a processor stalls when it reads at once what it has just
 * written in smaller pieces.
 */
static inline uint64_t tuple_addresses(const struct tuple *t)
{
	return word64_load(t);
}

static inline uint32_t tuple_ports(const struct tuple *t)
{
	return word32_load((const uint8_t *)t + sizeof(uint64_t));
}

/* All but the source's address as a word. */
static inline uint64_t tuple_rest(const struct tuple *t)
{
	return word64_load((const uint8_t *)t + sizeof(be32));
}

/* Takes them from where source and destination stand one after the other, as in IPv4 and TCP. */
static inline void tuple_load_addresses(struct tuple *t, const uint8_t *p)
{
	word64_store(t, word64_load(p));
}

static inline void tuple_load_ports(struct tuple *t, const uint8_t *p)
{
	word32_store((uint8_t *)t + sizeof(uint64_t), word32_load(p));
}

/* A tuple of its parts, put together in registers for the same reason. */
static inline struct tuple tuple_of(be32 src, be32 dst, be16 sport, be16 dport)
{
	const uint64_t addresses = (uint64_t)word32_load(&dst) << 32 | word32_load(&src);
	const uint32_t ports = (uint32_t)dport.b[1] << 24 | (uint32_t)dport.b[0] << 16 |
	                       (uint32_t)sport.b[1] << 8 | sport.b[0];
	struct tuple ret;

	memcpy(&ret, &addresses, sizeof(addresses));
	memcpy(&ret.sport, &ports, sizeof(ports));
	return ret;
}

static inline bool tuple_eq(const struct tuple *a, const struct tuple *b)
{
	return tuple_addresses(a) == tuple_addresses(b) && tuple_ports(a) == tuple_ports(b);
}

/* The tuple of a packet going the other way: the halves of either word change places. */
static inline struct tuple tuple_reverse(struct tuple t)
{
	uint64_t addresses = tuple_addresses(&t);
	uint32_t ports = tuple_ports(&t);

	addresses = addresses << 32 | addresses >> 32;
	ports = ports << 16 | ports >> 16;
	tuple_load_addresses(&t, (const uint8_t *)&addresses);
	tuple_load_ports(&t, (const uint8_t *)&ports);
	return t;
}

struct hash_key {
	uint64_t k[2];
};

/*
 * The hash by which a tuple is found: "multilinear", the upper half of a sum of products with
 * secret factors (Carter and Wegman 1979; Lemire and Kaser 2014, theorem 3.1). It is strongly
 * universal: of any tuples, chosen as cleverly as you like by somebody who doesn't know the
 * factors, two meet in a bucket no more likely than if their hashes were drawn at random. Unlike
 * SipHash's, the factors could be computed by whoever sees hashes; but no hash leaves the table. It
 * is three multiplications, side by side.
 *
 * Of tuples in a row, as SNAT ports are, the hashes are in a row as well, and fill some buckets
 * more than others. So the upper half is mixed by a one-to-one function, which makes no two hashes
 * meet that didn't meet before. The result is in the lower half, which index_home() takes.
 */
static inline uint64_t tuple_multilinear(const uint64_t factors[4], const struct tuple *tuple)
{
	const uint64_t addresses = tuple_addresses(tuple);
	uint64_t sum = factors[0] + factors[1] * (uint32_t)addresses +
	               factors[2] * (addresses >> 32) + factors[3] * tuple_ports(tuple);
	uint32_t upper = (uint32_t)(sum >> 32);

	upper ^= upper >> 16;
	upper *= 0x9e3779b1; /* odd */
	upper ^= upper >> 15;
	return sum << 32 | upper;
}

/*
 * The same of an IPv6 address, in 32 bits: the upper half of the sum. Whoever needs fewer bits may
 * take any of them.
 */
static inline uint32_t ip6_multilinear(const uint64_t factors[5], const struct ip6 *ip)
{
	const uint64_t high = word64_load(ip), low = word64_load(ip->b + sizeof(high));

	return (uint32_t)((factors[0] + factors[1] * (uint32_t)high + factors[2] * (high >> 32) +
	                   factors[3] * (uint32_t)low + factors[4] * (low >> 32)) >>
	                  32);
}

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

/* Makes n factors of a key. Calls whose first differs by n or more get independent ones. */
static inline void factors_make(uint64_t *factors, unsigned n, const struct hash_key *key,
                                uint64_t first)
{
	for (uint64_t i = 0; i < n; i++) {
		const uint64_t number = first + i;

		factors[i] = siphash(key, &number, 1);
	}
}

static inline uint64_t tuple_hash(const struct hash_key *key, const struct tuple *t)
{
	const uint64_t words[2] = {tuple_addresses(t), (uint64_t)sizeof(*t) << 56 | tuple_ports(t)};

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

/* If it is an IPv4 address as ip6_mapped() makes them. */
static inline bool ip6_is_mapped(const struct ip6 *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(ip, mapped, sizeof(mapped));
}

/* An IPv4 address as one of IPv6 (RFC 4291, 2.5.5.2). */
static inline struct ip6 ip6_mapped(be32 ip)
{
	struct ip6 ret = {{[10] = 0xff, 0xff}};

	memcpy(ret.b + 12, &ip, sizeof(ip));
	return ret;
}

/* The multicast address to which solicitations for ip go (RFC 4291, 2.7.1). */
static inline struct ip6 ip6_solicited_node(const struct ip6 *ip)
{
	struct ip6 ret = {{0xff, 0x02, [11] = 1, [12] = 0xff}};

	memcpy(ret.b + 13, ip->b + 13, 3);
	return ret;
}

#endif
