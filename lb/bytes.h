/*
 * Network byte order as types, and the only place that converts.
 *
 * A be16 or be32 holds the bytes as they stand in the frame; being a struct it can't be compared
 * with, assigned from or added to an integer by accident. Loads and stores take byte pointers of
 * any alignment. Callers check bounds (see parse.c).
 */
#ifndef LB_BYTES_H
#define LB_BYTES_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct {
	uint8_t b[2];
} be16;

typedef struct {
	uint8_t b[4];
} be32;

struct mac {
	uint8_t b[6];
};

/* An IPv6 address. */
struct ip6 {
	uint8_t b[16];
};

static_assert(sizeof(be16) == 2 && sizeof(be32) == 4 && sizeof(struct mac) == 6 &&
                      sizeof(struct ip6) == 16,
              "wire sizes");

/* Time since an origin that the caller chooses and keeps: never goes back between two calls. */
typedef struct {
	uint64_t ns;
} lb_time;

#define LB_NS_PER_MS 1000000ull
#define LB_NS_PER_S  1000000000ull

/*
 * Words in the machine's order, to be compared or added up but not read as numbers.
 *
 * Compiled for the kernel's programs they are read as what they are, in halves of 64 bits, which
 * takes what is on the stack to be aligned: of what it isn't told to be aligned that compiler reads
 * each byte.
 */
#ifdef __bpf__
typedef uint16_t __attribute__((may_alias)) word16_there;
typedef uint32_t __attribute__((may_alias)) word32_there;
enum { WORD_LOW = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ }; /* which half of 64 bits is that */

static inline uint16_t word16_load(const void *p)
{
	return *(const word16_there *)p;
}

static inline uint32_t word32_load(const void *p)
{
	return *(const word32_there *)p;
}

static inline uint64_t word64_load(const void *p)
{
	const word32_there *words = p;

	return (uint64_t)words[!WORD_LOW] << 32 | words[WORD_LOW];
}

static inline void word16_store(void *p, uint16_t word)
{
	*(word16_there *)p = word;
}

static inline void word32_store(void *p, uint32_t word)
{
	*(word32_there *)p = word;
}

static inline void word64_store(void *p, uint64_t word)
{
	word32_there *words = p;

	words[WORD_LOW] = (uint32_t)word;
	words[!WORD_LOW] = (uint32_t)(word >> 32);
}
#else
static inline uint16_t word16_load(const void *p)
{
	uint16_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint32_t word32_load(const void *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint64_t word64_load(const void *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline void word16_store(void *p, uint16_t word)
{
	memcpy(p, &word, sizeof(word));
}

static inline void word32_store(void *p, uint32_t word)
{
	memcpy(p, &word, sizeof(word));
}

static inline void word64_store(void *p, uint64_t word)
{
	memcpy(p, &word, sizeof(word));
}
#endif

/* Two halves, as they follow each other in memory. */
static inline uint32_t word32_of(uint16_t first, uint16_t second)
{
	const bool is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

	return is_big ? (uint32_t)first << 16 | second : (uint32_t)second << 16 | first;
}

static inline uint16_t be16_get(be16 v)
{
	return (uint16_t)(v.b[0] << 8 | v.b[1]);
}

static inline uint32_t be32_get(be32 v)
{
	return (uint32_t)v.b[0] << 24 | (uint32_t)v.b[1] << 16 | (uint32_t)v.b[2] << 8 | v.b[3];
}

static inline be16 be16_from(uint16_t host)
{
	return (be16){{(uint8_t)(host >> 8), (uint8_t)host}};
}

static inline be32 be32_from(uint32_t host)
{
	return (be32){{(uint8_t)(host >> 24), (uint8_t)(host >> 16), (uint8_t)(host >> 8),
	               (uint8_t)host}};
}

static inline bool be16_eq(be16 a, be16 b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static inline bool be32_eq(be32 a, be32 b)
{
	return word32_load(&a) == word32_load(&b);
}

static inline bool ip6_eq(const struct ip6 *a, const struct ip6 *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool mac_eq(const struct mac *a, const struct mac *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The I/G bit: broadcast and multicast (IEEE 802-2014, 8.2.2). */
static inline bool mac_is_group(const struct mac *m)
{
	return m->b[0] & 1;
}

/* If a single host can have it: neither all zeros nor a group's. */
static inline bool mac_is_host(const struct mac *m)
{
	static const struct mac none;

	return !mac_is_group(m) && !mac_eq(m, &none);
}

/* If a single host can have it on a network: not 0.0.0.0/8, loopback, multicast or reserved (RFC
 * 6890, RFC 1112). */
static inline bool be32_is_host(be32 ip)
{
	return ip.b[0] != 0 && ip.b[0] != 127 && ip.b[0] < 224;
}

/* The same: neither unspecified, loopback, multicast (RFC 4291, 2.4) nor mapped IPv4 (RFC 6890). */
static inline bool ip6_is_host(const struct ip6 *ip)
{
	static const struct ip6 unspecified, loopback = {{[15] = 1}};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return !ip6_eq(ip, &unspecified) && !ip6_eq(ip, &loopback) && ip->b[0] != 0xff &&
	       memcmp(ip, mapped, sizeof(mapped)) != 0;
}

static inline be16 be16_load(const uint8_t *p)
{
	const uint16_t word = word16_load(p);
	be16 v;

	memcpy(&v, &word, sizeof(v));
	return v;
}

static inline be32 be32_load(const uint8_t *p)
{
	const uint32_t word = word32_load(p);
	be32 v;

	memcpy(&v, &word, sizeof(v));
	return v;
}

static inline void be16_store(uint8_t *p, be16 v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void be32_store(uint8_t *p, be32 v)
{
	memcpy(p, &v, sizeof(v));
}

#endif
