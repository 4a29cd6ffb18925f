/*
 * Finding the flow of a segment in the engine's own table: the first steps of lb/lane.h.
 */
#ifndef BRIDGE_FIND_BPF_H
#define BRIDGE_FIND_BPF_H

#include "arrays.bpf.h"
#include "../../lb/lane.h"

/* How many entries of each bucket are compared, and in how many buckets. Flows that stand further
 * behind are rare, and left to the process: each more would cost the verifier time. */
enum { CANDIDATES_MAX = 3, BUCKETS_MAX = 2 };

/* The flow that has been found. */
struct found {
	struct fastpath_part *part; /* of the worker's arrays */
	struct table_head *head;
	struct flow *flow;
	struct flow_cold *cold;
	struct lane lane;
	uint32_t f; /* in the map flows */
	uint32_t end;
};

/* The number of the only bit that is set, of 16: this target has no instruction for it. By a de
 * Bruijn sequence, whose four bits at the top name each shift. */
INLINE uint32_t number_of_bit(uint32_t bit)
{
	return 0xcd7ea84fb6935210ull >> 4 * ((bit * 0x09af & 0xffff) >> 12) & 15;
}

/*
 * The flow's counts. They are read here as well, though nobody needs what is read: so their cache
 * line is fetched beside the flow's. An atomic addition would fetch it only when all that was begun
 * before is done.
 */
INLINE struct flow_cold *fetch_cold(const struct fastpath_part *part, uint32_t f)
{
	const uint32_t i = part->base[TABLE_COLD] + f;
	struct flow_cold *ret = bpf_map_lookup_elem(&cold, &i);

	if (ret)
		(void)BOTH_READ(ret->packets[0]);
	return ret;
}

INLINE bool find_in(const struct bucket *bucket, const struct tuple *tuple, uint8_t tag,
                    struct found *ret)
{
	uint32_t matches = lane_match(bucket, tag);

	for (unsigned n = 0; n < CANDIDATES_MAX && matches; n++, matches &= matches - 1) {
		const uint32_t slot = number_of_bit(matches & -matches);
		uint32_t ref;

		if (slot >= INDEX_SLOTS)
			return false;
		ref = lane_ref(bucket, slot);
		ret->f = ret->part->base[TABLE_FLOWS] + flow_of(ref);
		ret->end = ref & 1;
		ret->flow = bpf_map_lookup_elem(&flows, &ret->f);
		ret->cold = fetch_cold(ret->part, flow_of(ref));
		if (ret->flow && ret->cold && lane_look(ret->flow, ref & 1, tuple, &ret->lane))
			return true;
	}
	return false;
}

/*
 * flows_hash(): src is the hash of the source's address if that is one of IPv6, else the address.
 */
INLINE uint64_t hash_of(const struct table_head *h, const struct tuple *tuple, uint32_t src)
{
	struct tuple hashed = *tuple;

	__builtin_memcpy(&hashed.src, &src, sizeof(src));
	return tuple_multilinear(h->factors, &hashed);
}

/* Finds the flow among those of a worker. */
INLINE bool find_at(uint32_t worker, const struct tuple *tuple, uint32_t src, struct found *ret)
{
	struct table_head *h = bpf_map_lookup_elem(&head, &worker);
	struct fastpath_part *part = bpf_map_lookup_elem(&parts, &worker);
	uint32_t nbuckets, b, i;
	uint64_t hash;

	if (!h || !part || h->layout != TABLE_LAYOUT)
		return false;
	ret->head = h;
	ret->part = part;
	hash = hash_of(h, tuple, src);
	nbuckets = h->nbuckets;
	b = index_home(nbuckets, hash);
	for (unsigned n = 0; n < BUCKETS_MAX; n++) {
		struct bucket *bucket;

		i = part->base[TABLE_BUCKETS] + b;
		bucket = bpf_map_lookup_elem(&buckets, &i);
		if (!bucket)
			return false;
		if (find_in(bucket, tuple, index_tag(hash), ret))
			return true;
		if (!lane_passed(bucket))
			return false;
		b = b + 1 == nbuckets ? 0 : b + 1;
	}
	return false;
}

/*
 * Finds the flow of one of several workers. A packet to us may come from a client or from a server,
 * and which worker has it follows in another way for either; with `snat = off` a packet that isn't
 * to us comes from a server. client is the client's address as a number (lb/share.h), of whichever
 * address is a client's. src: see hash_of().
 */
static __noinline int find_among(const struct tuple *tuple, uint32_t src, uint32_t client,
                                 uint32_t to_us, struct found *ret)
{
	struct fastpath_conf *c = find_conf();
	struct share share;

	if (!c || !tuple || !ret)
		return 0;
	share = c->share;
	if (!to_us)
		return find_at(share_of_client(&share, client, tuple->dport), tuple, src, ret);
	return find_at(share_of_client(&share, client, tuple->sport), tuple, src, ret) ||
	       find_at(be16_get(tuple->dport) % share.n, tuple, src, ret);
}

/* Finds the flow, whichever worker has it. src, client and to_us are as above. */
INLINE bool find(const struct fastpath_conf *c, const struct tuple *tuple, uint32_t src,
                 uint32_t client, uint32_t to_us, struct found *ret)
{
	return c->share.n <= 1 ? find_at(0, tuple, src, ret)
	                       : find_among(tuple, src, client, to_us, ret);
}

#endif
