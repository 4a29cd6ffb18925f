/*
 * Which worker a flow belongs to.
 *
 * The hash has to spread clients, not to resist them, and to fit into a program of classic BPF.
 * Knowing it one could at most load one worker more than the others, and for that one would have to
 * know the salt.
 */
#include "share.h"

#include "farms.h"

const struct share share_whole = {.worker = 0, .n = 1, .salt = 1};

struct share share_make(unsigned worker, unsigned n, bool by_address, const struct hash_key *key)
{
	static const struct tuple nobody;

	return (struct share){.worker = (uint16_t)worker,
	                      .n = (uint16_t)n,
	                      .by_address = by_address,
	                      .salt = (uint32_t)tuple_hash(key, &nobody) | 1};
}

uint32_t share_address(be32 ip)
{
	return be32_get(ip);
}

uint32_t share_address6(const struct share *share, const struct ip6 *ip)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < sizeof(ip->b); i += sizeof(uint32_t))
		hash = hash * share->salt + be32_get(be32_load(ip->b + i));
	return hash;
}

unsigned share_of_client(const struct share *share, uint32_t address, be16 port)
{
	uint32_t hash = address + share->salt;

	if (!share->by_address)
		hash += (uint32_t)be16_get(port) << 16;
	return share_spread(hash) % share->n;
}

unsigned share_of_port(const struct share *share, be16 port)
{
	uint16_t n = be16_get(port);

	/* all probes are the first worker's */
	if (n >= SNAT_PROBE_PORT && n < SNAT_PROBE_PORT + SNAT_PROBE_PORTS)
		return 0;
	return n % share->n;
}

static bool is_service(const struct farms *farms, const struct address *address, be16 port)
{
	return address->kinds & ADDRESS_VIP &&
	       rules_service(&farms->rules->farms[address->farm], port) >= 0;
}

unsigned share_owner(const struct farms *farms, const struct tuple *arriving,
                     const struct ip6 *src6, const struct ip6 *dst6)
{
	const struct addresses *addresses = &farms->addresses;
	const struct share *share = &farms->share;
	const struct address *src = src6 ? addresses_find_name(addresses, arriving->src)
	                                 : addresses_find(addresses, arriving->src);
	const struct address *dst = dst6 ? addresses_find_name(addresses, arriving->dst)
	                                 : addresses_find(addresses, arriving->dst);

	if (is_service(farms, dst, arriving->dport))
		return share_of_client(
		        share, src6 ? share_address6(share, src6) : share_address(arriving->src),
		        arriving->sport);
	if (src->kinds & ADDRESS_NO_SNAT && !(dst->kinds & ADDRESS_OURS))
		return share_of_client(
		        share, dst6 ? share_address6(share, dst6) : share_address(arriving->dst),
		        arriving->dport);
	return share_of_port(share, arriving->dport);
}
