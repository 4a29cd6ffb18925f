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
	/* of the worker's arrays; NULL: they begin where the maps do, as those of an only one */
	const struct fastpath_part *part;
	struct table_head *head;
	struct flow *flow;
	struct flow_cold *cold;
	struct lane lane;
	uint32_t f; /* in its worker's part */
	uint32_t end;
};

/* Where element i of a part's array is in the map. */
INLINE uint32_t place_of(const struct fastpath_part *part, enum table_array_id array, uint32_t i)
{
	return part ? part->base[array] + i : i;
}

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
	const uint32_t i = place_of(part, TABLE_COLD, f);
	struct flow_cold *ret = bpf_map_lookup_elem(&cold, &i);

	if (ret)
		(void)BOTH_READ(ret->packets[0]);
	return ret;
}

/* If the flow and end that ref names are those of the tuple: then they have been found. */
INLINE bool is_it(uint32_t ref, const struct tuple *tuple, struct found *ret)
{
	const uint32_t i = place_of(ret->part, TABLE_FLOWS, flow_of(ref));

	ret->f = flow_of(ref);
	ret->end = ref & 1;
	ret->flow = bpf_map_lookup_elem(&flows, &i);
	ret->cold = fetch_cold(ret->part, flow_of(ref));
	return ret->flow && ret->cold && lane_look(ret->flow, ref & 1, tuple, &ret->lane);
}

INLINE bool find_in(const struct bucket *bucket, const struct tuple *tuple, uint8_t tag,
                    struct found *ret)
{
	uint32_t matches = lane_match(bucket, tag);

	for (unsigned n = 0; n < CANDIDATES_MAX && matches; n++, matches &= matches - 1) {
		const uint32_t slot = number_of_bit(matches & -matches);

		if (slot >= INDEX_SLOTS)
			return false;
		if (is_it(lane_ref(bucket, slot), tuple, ret))
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

INLINE const struct bucket *bucket_at(const struct fastpath_part *part, uint32_t b)
{
	const uint32_t i = place_of(part, TABLE_BUCKETS, b);

	return bpf_map_lookup_elem(&buckets, &i);
}

/* Finds the flow in a part of the table, by its hash in the head's index. */
INLINE bool find_by(const struct fastpath_part *part, struct table_head *h,
                    const struct tuple *tuple, uint64_t hash, struct found *ret)
{
	const uint32_t nbuckets = h->nbuckets;
	uint32_t b = index_home(nbuckets, hash);

	ret->head = h;
	ret->part = part;
	for (unsigned n = 0; n < BUCKETS_MAX; n++) {
		const struct bucket *bucket = bucket_at(part, b);

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

INLINE struct table_head *head_of(uint32_t worker)
{
	return bpf_map_lookup_elem(&head, &worker);
}

/* Finds the flow of the only worker; guess is what foresee4() has said, or 0. */
INLINE bool find_only(const struct tuple *tuple, uint32_t src, uint32_t guess, struct found *ret)
{
	struct table_head *h = head_of(0);

	if (!h || h->layout != TABLE_LAYOUT)
		return false;
	ret->head = h;
	ret->part = NULL;
	if (guess && is_it(guess - 1, tuple, ret))
		return true;
	return find_by(NULL, h, tuple, hash_of(h, tuple, src), ret);
}

/* Finds the flow among those of one of several workers. */
INLINE bool find_at(uint32_t worker, const struct tuple *tuple, uint32_t src, struct found *ret)
{
	struct table_head *h = head_of(worker);
	const struct fastpath_part *part = bpf_map_lookup_elem(&parts, &worker);

	if (!h || !part || h->layout != TABLE_LAYOUT)
		return false;
	return find_by(part, h, tuple, hash_of(h, tuple, src), ret);
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

/*
 * Finds the flow, whichever worker has it. src, client and to_us are as above; guess as in
 * find_only().
 */
INLINE bool find(const struct fastpath_conf *c, const struct tuple *tuple, uint32_t src,
                 uint32_t client, uint32_t to_us, uint32_t guess, struct found *ret)
{
	return c->share.n <= 1 ? find_only(tuple, src, guess, ret)
	                       : find_among(tuple, src, client, to_us, ret);
}

/*
 * A guess at the flow of a segment, of IPv4, whose addresses and ports begin there, among those of
 * the only worker: its reference and 1, or 0. The flow is being fetched from memory then, while
 * this program ends and the next one begins. The processor waits for what is read only when that is
 * needed, or when it has begun some hundreds of instructions more; so nothing here is compared with
 * what is in the flow.
 */
INLINE uint32_t foresee4(const uint8_t *ip_src, const uint8_t *ports)
{
	const struct table_head *h = head_of(0);
	const struct bucket *bucket;
	const struct flow *flow;
	uint32_t matches, slot, ref, i;
	struct tuple tuple;
	uint64_t hash;

	if (!h)
		return 0;
	tuple_load_addresses(&tuple, ip_src);
	tuple_load_ports(&tuple, ports);
	hash = tuple_multilinear(h->factors, &tuple);
	bucket = bucket_at(NULL, index_home(h->nbuckets, hash));
	if (!bucket || !(matches = lane_match(bucket, index_tag(hash))) ||
	    (slot = number_of_bit(matches & -matches)) >= INDEX_SLOTS)
		return 0;
	ref = lane_ref(bucket, slot);
	i = flow_of(ref);
	flow = bpf_map_lookup_elem(&flows, &i);
	if (flow)
		(void)BOTH_READ(flow->last);
	fetch_cold(NULL, i);
	return ref + 1;
}

#endif
