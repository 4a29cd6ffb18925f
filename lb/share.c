/*
 * Which worker a flow belongs to.
 *
 * The hash has to spread clients, not to resist them, and to fit into a program of classic BPF.
 * Knowing it one could at most load one worker more than the others, and for that one would have to
 * know the salt.
 */
#include "share.h"

#include "rules.h"

const struct share share_whole = {.worker = 0, .n = 1, .salt = 1};

struct share share_make(unsigned worker, unsigned n, bool by_address, const struct hash_key *key)
{
	static const struct tuple nobody;

	return (struct share){.worker = (uint16_t)worker,
	                      .n = (uint16_t)n,
	                      .by_address = by_address,
	                      .salt = (uint32_t)tuple_hash(key, &nobody) | 1};
}

unsigned share_of_port(const struct share *share, be16 port)
{
	/* all probes are the first worker's */
	return rules_is_probe_port(port) ? 0u : (unsigned)be16_get(port) % share->n;
}
