/*
 * Lists of address prefixes, as they are looked up: ranges that cover all addresses, each with the
 * word that the longest prefix over it says. cfg/prefixes.c makes them. IPv4 addresses stand among
 * IPv6 ones as ip6_mapped().
 */
#ifndef LB_PREFIXES_H
#define LB_PREFIXES_H

#include "bytes.h"

/* What a list says of an address; of one that it doesn't have, PREFIX_NONE. */
enum prefix_word { PREFIX_NONE, PREFIX_ALLOW, PREFIX_DENY, PREFIX_EXEMPT };

struct prefixes {
	struct ip6 *first; /* of each range, ascending, beginning with :: */
	uint8_t *word;     /* enum prefix_word */
	uint32_t n;        /* 0: no list */
};

/* What the list says of the address. Takes as many steps as n has bits: 18 for 100,000 prefixes. */
static inline enum prefix_word prefixes_find(const struct prefixes *prefixes, const struct ip6 *ip)
{
	uint32_t low = 0, high = prefixes->n, mid;

	if (!high)
		return PREFIX_NONE;
	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (memcmp(&prefixes->first[mid], ip, sizeof(*ip)) <= 0)
			low = mid;
		else
			high = mid;
	}
	return (enum prefix_word)prefixes->word[low];
}

#endif
