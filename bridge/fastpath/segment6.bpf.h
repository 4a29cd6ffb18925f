/*
 * Segments of open IPv6 flows, whose addresses go by names (lb/name.h).
 */
#ifndef BRIDGE_SEGMENT6_BPF_H
#define BRIDGE_SEGMENT6_BPF_H

#include "segment.bpf.h"

/* The hash by which an address goes that has no name, given by halves; in the order of bytes that
 * it has in memory. */
static __noinline uint32_t hash_address(uint64_t high, uint64_t low)
{
	const uint64_t words[] = {high, low};
	uint32_t zero = 0;
	struct table_head *h = bpf_map_lookup_elem(&head, &zero);
	struct ip6 address;
	be32 name;

	if (!h)
		return 0;
	__builtin_memcpy(&address, words, sizeof(address));
	name = name_hashed(h->factors6, &address);
	return word32_load(&name);
}

INLINE uint32_t hash_at(const uint8_t *ip)
{
	return hash_address(word64_load(ip), word64_load(ip + 8));
}

static __noinline uint64_t look_up6(uint64_t high, uint64_t low, uint32_t vlan)
{
	const struct fastpath_conf *c = find_conf();

	return c ? look_up(table_of(c), high, low, 1, vlan) : 0;
}

/* The name of an address: the rules' or, if they give it none, hash. */
INLINE be32 name_at(const uint8_t *ip, uint32_t hash, uint16_t vlan)
{
	const uint64_t known = look_up6(word64_load(ip), word64_load(ip + 8), vlan);
	const uint32_t name = known ? (uint32_t)(known >> 32) : hash;
	be32 ret;

	__builtin_memcpy(&ret, &name, sizeof(ret));
	return ret;
}

/* The address of that name: one of the rules, or the flow's client; NULL if there is none. */
INLINE const struct ip6 *address_of(be32 name, const struct ip6 *client)
{
	const uint32_t i = name_index(name);

	return name_is_hashed(name) ? client : bpf_map_lookup_elem(&names, &i);
}

/* If the address is the flow's client's; true as well if its name isn't a hash. */
INLINE bool is_client(be32 name, const uint8_t *ip, const struct ip6 *client)
{
	return !name_is_hashed(name) || (word64_load(ip) == word64_load(client->b) &&
	                                 word64_load(ip + 8) == word64_load(client->b + 8));
}

/* Replaces an address word by word, as there is no room on the stack. Returns the change in the
 * sum. */
INLINE csum_acc replace_ip6(uint8_t *at, const struct ip6 *to)
{
	csum_acc change = 0;

	for (unsigned i = 0; i < sizeof(*to); i += sizeof(uint32_t)) {
		const uint32_t word = *(const volatile uint32_t *)(to->b + i);

		change += csum_change_word(*(volatile uint32_t *)(at + i), word);
		*(volatile uint32_t *)(at + i) = word;
	}
	return change;
}

/* share_address6() of one in a packet. */
INLINE uint32_t share_at(const struct fastpath_conf *c, const uint8_t *ip)
{
	uint32_t hash = 0;

	for (unsigned i = 0; i < sizeof(struct ip6); i += sizeof(uint32_t))
		hash = hash * c->share.salt + bpf_ntohl(*(const volatile uint32_t *)(ip + i));
	return hash;
}

/* The same for IPv6. Its header has no checksum: what the kernel has summed up of the whole packet
 * (CHECKSUM_COMPLETE) stays right, which bpf_l4_csum_replace() doesn't know before Linux 6.16. */
INLINE int forward6(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side)
{
	const uint32_t l3 = ETH_HEADER_BYTES, to_us = !skb->cb[FASTPATH_CB_CROSSES];
	const uint32_t jumbo = skb->cb[FASTPATH_CB_IPV6] & JUMBO_BYTES;
	const uint32_t l4 = l3 + IPV6_HEADER_BYTES + jumbo;
	uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint8_t *ip = data + l3, *tcp = data + l4;
	const struct ip6 *client, *src, *dst;
	const struct hop tags = tags_of(skb, side);
	uint32_t len, i, src_hash;
	union hop_copy to;
	struct tuple arrives;
	struct found found;
	csum_acc addresses;

	if (!c->client6 || skb->cb[FASTPATH_CB_L3] != l3 || ip + IPV6_HEADER_BYTES > end ||
	    tcp + TCP_HEADER_BYTES > end)
		return FORWARD_UNKNOWN;
	len = jumbo ? skb->len - l4 : be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH));
	if (!is_plain(skb, data, tcp, l4, len) || (c->routes && ttl_is_last6(ip)))
		return FORWARD_UNKNOWN;
	src_hash = hash_at(ip + IPV6_SRC);
	arrives.src = name_at(ip + IPV6_SRC, src_hash, hop_vlan(&tags));
	arrives.dst = name_at(ip + IPV6_DST, to_us ? 0 : hash_at(ip + IPV6_DST), hop_vlan(&tags));
	tuple_load_ports(&arrives, tcp + TCP_SRC);
	if (!find(c, &arrives, src_hash, share_at(c, to_us ? ip + IPV6_SRC : ip + IPV6_DST), to_us,
	          0, &found))
		return FORWARD_UNKNOWN;
	i = place_of(found.part, TABLE_CLIENT6, found.f);
	client = bpf_map_lookup_elem(&client6, &i);
	if (!client || !is_client(arrives.src, ip + IPV6_SRC, client) ||
	    !is_client(arrives.dst, ip + IPV6_DST, client))
		return FORWARD_UNKNOWN;
	src = address_of(found.lane.to.src, client);
	dst = address_of(found.lane.to.dst, client);
	if (!src || !dst || !admit(skb, c, n, &found, &arrives, data, tcp, l4, len, side, &to))
		return FORWARD_LEFT;
	addresses = replace_ip6(ip + IPV6_SRC, src) + replace_ip6(ip + IPV6_DST, dst);
	if (c->routes)
		bpf_csum_update(skb, csum_fold(ttl_spend6(ip)));
	set_ports(tcp, &found.lane.to);
	update_checksum(skb, tcp, l4, addresses, &arrives, &found.lane.to);
	return leave(skb, c, n, side, &to.hop);
}

#endif
