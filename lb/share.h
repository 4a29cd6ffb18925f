/*
 * Which worker a flow belongs to.
 *
 * Several workers share nothing, so each has an engine of its own, and all packets of a flow, from
 * either end, must come to the same one. A client's packet belongs to the worker that a hash of its
 * address and port names; that worker hands out only SNAT ports that are its number modulo how many
 * workers there are, so a server's packet belongs to the worker that its destination port names.
 *
 * The sockets' steering program (bridge/port/steer.c) sends nearly all packets to their worker at
 * once. The engine looks only when it finds no flow, and says whose the packet is if it isn't its
 * own.
 */
#ifndef LB_SHARE_H
#define LB_SHARE_H

#include "tuple.h"

/* Of MurmurHash3's finalizer (Appleby), which goes on a step further. */
#define SHARE_FACTOR_1 0x85ebca6bu
#define SHARE_FACTOR_2 0xc2b2ae35u
enum { SHARE_SHIFT_1 = 13, SHARE_SHIFT_2 = 16 };

struct share {
	uint16_t worker, n; /* worker 0 to n - 1, of n */
	/* the client's port doesn't count: `persist` wants all connections of a client together */
	bool by_address;
	uint32_t salt; /* odd: from the key, so that nobody can aim all flows at one worker */
};

/* The only worker. */
extern const struct share share_whole;

/* The share of worker of n, with the salt made of key. */
struct share share_make(unsigned worker, unsigned n, bool by_address, const struct hash_key *key);

/*
 * An address as a number, that of an IPv6 address being a hash. bridge/port/steer.c does what this
 * and the following functions do once more, as programs in the kernel.
 */
static inline uint32_t share_address(be32 ip)
{
	return be32_get(ip);
}

static inline uint32_t share_address6(const struct share *share, const struct ip6 *ip)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < sizeof(ip->b); i += sizeof(uint32_t))
		hash = hash * share->salt + be32_get(be32_load(ip->b + i));
	return hash;
}

/* Spreads numbers evenly over 0 to 65535, even if they differ in a few bits only. */
static inline uint32_t share_spread(uint32_t number)
{
	number *= SHARE_FACTOR_1;
	number ^= number >> SHARE_SHIFT_1;
	return number * SHARE_FACTOR_2 >> SHARE_SHIFT_2;
}

/* The worker of a client's packets: address by share_address() or share_address6(). */
static inline unsigned share_of_client(const struct share *share, uint32_t address, be16 port)
{
	uint32_t hash = address + share->salt;

	if (!share->by_address)
		hash += (uint32_t)be16_get(port) << 16;
	return share_spread(hash) % share->n;
}

/* The worker of a server's packets, or of a probe's answers, by the port of ours. */
unsigned share_of_port(const struct share *share, be16 port);

/* This worker's part of a limit of n for all workers: the parts add up to n. */
static inline uint32_t share_of_limit(const struct share *share, uint32_t n)
{
	return n / share->n + (share->worker < n % share->n);
}

/* What one costs this worker, in ns, of its part of so many a second: see bucket.h. */
static inline uint64_t share_cost_ns(const struct share *share, uint32_t per_s)
{
	const uint32_t rate = share_of_limit(share, per_s);

	return LB_NS_PER_S / (rate ? rate : 1);
}

#endif
