/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * Sums are kept unfolded in 64 bits and in the order in which the bytes stand in memory: one's
 * complement addition doesn't care, as long as the field is read and written in that order too.
 */
#ifndef LB_CSUM_H
#define LB_CSUM_H

#include "bytes.h"

#include <stddef.h>

typedef uint64_t csum_acc;

/*
 * Adding a word to itself, its halves changed, adds the halves with their carry: in the upper one.
 */
static inline uint16_t csum_fold(csum_acc sum)
{
	uint32_t half;

	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(half >> 16);
}

static inline uint16_t csum_load(const uint8_t *p)
{
	return word16_load(p);
}

static inline void csum_store(uint8_t *p, uint16_t v)
{
	word16_store(p, v);
}

/* What replacing the four bytes from by to, as read from memory, adds to a sum: ~m + m' of RFC
 * 1624, eqn. 3. */
static inline csum_acc csum_change_word(uint32_t from, uint32_t to)
{
	return (csum_acc)(uint32_t)~from + to;
}

static inline csum_acc csum_change32(be32 from, be32 to)
{
	return csum_change_word(word32_load(&from), word32_load(&to));
}

static inline csum_acc csum_change16(be16 from, be16 to)
{
	return (csum_acc)(uint16_t)~csum_load(from.b) + csum_load(to.b);
}

/* A sum of 64 bits, its carry added to it: as good as one of its four parts. */
static inline uint64_t csum_carry(uint64_t a, uint64_t b)
{
	uint64_t sum;
	const bool carry = __builtin_add_overflow(a, b, &sum);

	return sum + carry;
}

/* Such a sum, to be added to others. */
static inline csum_acc csum_of_carried(uint64_t sum)
{
	return (csum_acc)(uint32_t)sum + (sum >> 32);
}

/* The same as csum_change_word() of eight bytes. */
static inline csum_acc csum_change_addresses(uint64_t from, uint64_t to)
{
	return csum_of_carried(csum_carry(~from, to));
}

/* What replacing both addresses, which stand one after the other at p, by these adds to a sum. */
static inline csum_acc csum_change_ip6(const uint8_t *p, const struct ip6 *first,
                                       const struct ip6 *second)
{
	const uint64_t a = csum_carry(~word64_load(p), word64_load(first->b)),
	               b = csum_carry(~word64_load(p + 8), word64_load(first->b + 8)),
	               c = csum_carry(~word64_load(p + 16), word64_load(second->b)),
	               d = csum_carry(~word64_load(p + 24), word64_load(second->b + 8));

	return csum_of_carried(csum_carry(csum_carry(a, b), csum_carry(c, d)));
}

/*
 * Updates the complemented checksum at field for the given change: HC' = ~(~HC + ~m + m'). A sum
 * that was wrong stays wrong by the same amount.
 */
static inline void csum_update(uint8_t *field, csum_acc change)
{
	csum_store(field, (uint16_t)~csum_fold((uint16_t)~csum_load(field) + change));
}

/* The same for a partial sum, which isn't complemented (FRAME_CSUM_PARTIAL). */
static inline void csum_update_partial(uint8_t *field, csum_acc change)
{
	csum_store(field, csum_fold(csum_load(field) + change));
}

/* Adds len bytes to sum; an odd last byte counts as if a zero followed it. */
static inline csum_acc csum_add(csum_acc sum, const uint8_t *p, size_t len)
{
	uint16_t rest = 0;

	for (; len >= sizeof(uint32_t); p += sizeof(uint32_t), len -= sizeof(uint32_t))
		sum += word32_load(p);
	if (len >= sizeof(rest)) {
		sum += csum_load(p);
		p += sizeof(rest);
		len -= sizeof(rest);
	}
	if (len) {
		memcpy(&rest, p, 1);
		sum += rest;
	}
	return sum;
}

/* The IPv4 pseudo header of a TCP segment of len bytes, header included (RFC 9293, 3.1). */
static inline csum_acc csum_pseudo(be32 src, be32 dst, uint8_t protocol, uint16_t len)
{
	const uint8_t tail[4] = {0, protocol, (uint8_t)(len >> 8), (uint8_t)len};

	return csum_add(csum_add(csum_add(0, src.b, 4), dst.b, 4), tail, 4);
}

/* The same of IPv6 (RFC 8200, 8.1), also for ICMPv6. */
static inline csum_acc csum_pseudo6(const struct ip6 *src, const struct ip6 *dst, uint8_t protocol,
                                    uint16_t len)
{
	const uint8_t tail[4] = {0, protocol, (uint8_t)(len >> 8), (uint8_t)len};

	return csum_add(csum_add(csum_add(0, src->b, 16), dst->b, 16), tail, 4);
}

#endif
