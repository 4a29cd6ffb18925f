/*
 * What guard.bpf.c and guard.c have in common. The rules are in one half of each array; new ones
 * are written into the other half, and then that counts.
 */
#ifndef BRIDGE_GUARD_SHARED_H
#define BRIDGE_GUARD_SHARED_H

#include "../../lb/bytes.h"
#include "../../lb/tuple.h"

enum {
	GUARD_PLACES = 1 << 16, /* for addresses, of a half: a power of two */
	GUARD_PROBES = 16,      /* places that an address may stand in */
	GUARD_SLOTS = 64,       /* sets of ports, of a half */
	GUARD_SLOT_SNAT = 0,    /* that set: ports of SNAT addresses, and of probes */
	GUARD_SLOT_SERVERS = 1, /* ports of servers */
	GUARD_SLOT_FIRST = 2,   /* service ports of a VIP that the host has itself */
};

/* GUARD_ANSWERED << side: we answer for it on that side, as the host doesn't have it. */
enum { GUARD_OURS = 1, GUARD_HOSTS = 2, GUARD_SERVER = 4, GUARD_ANSWERED = 8 };

struct guard_conf {
	uint32_t half;
};

struct guard_place {
	struct ip6 ip;  /* of IPv4 mapped */
	uint32_t kinds; /* GUARD_...; 0: empty */
	uint32_t slot;  /* its service ports; 0: none */
};

struct guard_ports {
	uint64_t words[1024];
};

static inline bool guard_eq(const struct ip6 *a, const struct ip6 *b)
{
	uint64_t x[2], y[2];

	__builtin_memcpy(x, a, sizeof(x));
	__builtin_memcpy(y, b, sizeof(y));
	return x[0] == y[0] && x[1] == y[1];
}

static inline uint32_t guard_hash(const struct ip6 *ip)
{
	uint64_t high, low;

	__builtin_memcpy(&high, ip->b, sizeof(high));
	__builtin_memcpy(&low, ip->b + 8, sizeof(low));
	high = (high ^ low * 3) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(high >> 40);
}

#endif
