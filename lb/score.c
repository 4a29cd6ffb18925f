/*
 * Scores of servers.
 *
 * Rendezvous hashing (Thaler and Ravishankar 1998) of the client and the server's address, so that
 * the loss of a server moves only its own clients; weights enter as in Schindelhauer and Schomaker
 * 2005: the greatest log(hash) / weight wins. It is not keyed: two boxes, and the same box after a
 * restart, shall agree. A choice computes a score for each server, O(n), but of most only the hash.
 * Tables that need one look-up (such as Maglev's) move other servers' clients too when a server is
 * lost.
 */
#include "score.h"

#include "tuple.h"

/* -log2(hash / 2^64) in units of 2^-32: the fraction by repeated squaring, bit by bit. */
static uint64_t minus_log2(uint64_t hash)
{
	unsigned zeros = hash ? (unsigned)__builtin_clzll(hash) : 63;
	uint64_t x = (hash | 1) << zeros >> 32, fraction = 0; /* 1.0 <= x < 2.0 in units of 2^-31 */

	for (int bit = 31; bit >= 16; bit--) {
		x = x * x >> 31;
		if (x >> 32) {
			fraction |= 1ull << bit;
			x >>= 1;
		}
	}
	return ((uint64_t)zeros + 1) * (1ull << 32) - fraction;
}

/* The server's address as four bytes that are the same everywhere. */
static be32 address_of(const struct rules *rules, const struct rules_server *rule)
{
	return name_is_ipv6(rule->address) ? ip6_digest(rules_ip6(rules, rule->address))
	                                   : rule->address;
}

/* -log2(u) is greater than 1 - u: for most servers that already shows that their score isn't less
 * than best. */
uint64_t score_of(const struct rules *rules, unsigned server, const struct asker *asker,
                  uint64_t best)
{
	static const struct hash_key unkeyed;
	const struct rules_server *rule = &rules->servers[server];
	const struct tuple pair = {
	        .src = asker->client, .sport = asker->port, .dst = address_of(rules, rule)};
	uint64_t hash = tuple_hash(&unkeyed, &pair);

	if (best != UINT64_MAX && ~hash >> 32 >= best * rule->weight)
		return UINT64_MAX;
	return minus_log2(hash) / rule->weight;
}
