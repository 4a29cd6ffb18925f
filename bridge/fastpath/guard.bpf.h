/*
 * What is tmbridge's of the packets that arrive where the host has what isn't: for the guard, which
 * keeps them from the host's stack, and for the program that is there instead of it on the fast
 * path.
 *
 * Of an address that the host has itself that is what lb/local.h says, and of one that it doesn't
 * have everything.
 */
#ifndef BRIDGE_GUARD_BPF_H
#define BRIDGE_GUARD_BPF_H

#include "map.bpf.h"
#include "guard_shared.h"

#include "../../lb/wire.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

MAP_ARRAY(guard_conf, struct guard_conf)
MAP_ARRAY(guard_places, struct guard_place)
MAP_ARRAY(guard_ports, struct guard_ports)

/* A packet as it arrives, or as an ICMP error says that it would. */
struct heading {
	struct ip6 src, dst;
	uint32_t ports; /* as they stand there: source and destination */
};

INLINE const struct guard_place *find_place(const struct guard_conf *c, const struct ip6 *ip)
{
	const uint32_t first = guard_hash(ip);

	for (uint32_t n = 0; n < GUARD_PROBES; n++) {
		uint32_t i = (c->half & 1) * GUARD_PLACES + ((first + n) & (GUARD_PLACES - 1));
		const struct guard_place *place = bpf_map_lookup_elem(&guard_places, &i);

		if (!place || !place->kinds)
			return 0;
		if (guard_eq(&place->ip, ip))
			return place;
	}
	return 0;
}

INLINE bool has_port(const struct guard_conf *c, uint32_t slot, uint16_t port)
{
	uint32_t i = (c->half & 1) * GUARD_SLOTS + slot;
	const struct guard_ports *ports = bpf_map_lookup_elem(&guard_ports, &i);
	uint64_t bounded = port;

	/* changes nothing: the verifier of Linux 6.1 forgets how large a number may be when it is
	 * spilled to the stack */
	__asm__ volatile("%0 &= 65535" : "+r"(bounded));
	return ports && ports->words[bounded / 64] >> bounded % 64 & 1;
}

/* If TCP with these addresses and ports is tmbridge's. */
INLINE bool is_taken(const struct guard_conf *c, const struct heading *h)
{
	const uint8_t *p = (const uint8_t *)&h->ports;
	const uint16_t sport = (uint16_t)(p[0] << 8 | p[1]), dport = (uint16_t)(p[2] << 8 | p[3]);
	const struct guard_place *dst = find_place(c, &h->dst), *src;

	if (!dst || !(dst->kinds & GUARD_OURS))
		return false;
	if (!(dst->kinds & GUARD_HOSTS))
		return true;
	if (dst->slot && has_port(c, dst->slot, dport))
		return true;
	if (!has_port(c, GUARD_SLOT_SERVERS, sport) || !has_port(c, GUARD_SLOT_SNAT, dport))
		return false;
	src = find_place(c, &h->src);
	return src && src->kinds & GUARD_SERVER;
}

INLINE void map4(struct ip6 *ret, const uint8_t *ip)
{
	__builtin_memset(ret, 0, 10);
	ret->b[10] = ret->b[11] = 0xff;
	__builtin_memcpy(ret->b + 12, ip, 4);
}

/* Turns what an error quotes round: to how packets of the flow arrive. */
INLINE void turn(struct heading *h)
{
	const struct ip6 src = h->src;

	h->src = h->dst;
	h->dst = src;
	h->ports = h->ports >> 16 | h->ports << 16;
}

INLINE bool quoted4(struct __sk_buff *skb, uint32_t at, struct heading *h)
{
	PART(ip, IPV4_HEADER_BYTES);

	if (bpf_skb_load_bytes(skb, at, ip, sizeof(ip)) < 0 || ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP)
		return false;
	map4(&h->src, ip + IPV4_SRC);
	map4(&h->dst, ip + IPV4_DST);
	return bpf_skb_load_bytes(skb, at + (ip[0] & 15) * 4, &h->ports, 4) == 0;
}

/* If the packet, behind an untagged Ethernet header, is ours. */
INLINE bool guard4(struct __sk_buff *skb, const struct guard_conf *c)
{
	PART(ip, IPV4_HEADER_BYTES);
	uint8_t type;
	const struct guard_place *dst;
	struct heading h;
	uint32_t l4;

	if (bpf_skb_load_bytes(skb, ETH_HEADER_BYTES, ip, sizeof(ip)) < 0)
		return false;
	map4(&h.src, ip + IPV4_SRC);
	map4(&h.dst, ip + IPV4_DST);
	dst = find_place(c, &h.dst);
	if (!dst || !(dst->kinds & GUARD_OURS))
		return false;
	if (!(dst->kinds & GUARD_HOSTS))
		return true;
	l4 = ETH_HEADER_BYTES + (ip[0] & 15) * 4;
	if (ip[IPV4_PROTOCOL] == IPPROTO_NUM_ICMP) {
		if (bpf_skb_load_bytes(skb, l4, &type, 1) < 0 ||
		    (type != ICMP_UNREACHABLE && type != ICMP_TIME_EXCEEDED &&
		     type != ICMP_PARAMETER_PROBLEM) ||
		    !quoted4(skb, l4 + ICMP_HEADER_BYTES, &h))
			return false;
		turn(&h);
		return is_taken(c, &h);
	}
	if (ip[IPV4_PROTOCOL] != IPPROTO_NUM_TCP)
		return false;
	if ((ip[IPV4_FRAGMENT] & 0x3f) | ip[IPV4_FRAGMENT + 1])
		return true;
	if (bpf_skb_load_bytes(skb, l4, &h.ports, 4) < 0)
		return false;
	return is_taken(c, &h);
}

/* The next header and the addresses of the IPv6 header there. Little of it is on the stack, of
 * which a program has 512 bytes. */
INLINE bool load6(struct __sk_buff *skb, uint32_t at, uint8_t *next, struct heading *h)
{
	return bpf_skb_load_bytes(skb, at + IPV6_NEXT_HEADER, next, 1) == 0 &&
	       bpf_skb_load_bytes(skb, at + IPV6_SRC, &h->src, sizeof(h->src)) == 0 &&
	       bpf_skb_load_bytes(skb, at + IPV6_DST, &h->dst, sizeof(h->dst)) == 0;
}

INLINE bool quoted6(struct __sk_buff *skb, uint32_t at, struct heading *h)
{
	uint8_t next;

	return load6(skb, at, &next, h) && next == IPPROTO_NUM_TCP &&
	       bpf_skb_load_bytes(skb, at + IPV6_HEADER_BYTES, &h->ports, 4) == 0;
}

/*
 * Goes behind the extension headers before layer 4, *l4 being where the first one would be. False
 * if there are more than anybody takes: then next is still one of them.
 */
INLINE bool skip_extensions(struct __sk_buff *skb, uint8_t *next, uint32_t *l4)
{
	uint8_t head[2];

	for (uint32_t n = 0; n < IPV6_EXTENSIONS_MAX; n++) {
		if (*next != IPPROTO_NUM_HOP_BY_HOP && *next != IPPROTO_NUM_ROUTING &&
		    *next != IPPROTO_NUM_DESTINATION)
			return true;
		if (bpf_skb_load_bytes(skb, *l4, head, sizeof(head)) < 0)
			return false;
		*next = head[0];
		*l4 += (head[IPV6_EXTENSION_LENGTH] + 1u) * IPV6_EXTENSION_BYTES;
	}
	return false;
}

/* Of a fragment that may be TCP's: what is behind it isn't known of any but the first. */
INLINE bool may_be_tcp(uint8_t next)
{
	return next == IPPROTO_NUM_TCP || next == IPPROTO_NUM_HOP_BY_HOP ||
	       next == IPPROTO_NUM_ROUTING || next == IPPROTO_NUM_DESTINATION;
}

/* Behind all headers of a packet to an address that the host has as well. */
INLINE bool guard6_hosts(struct __sk_buff *skb, const struct guard_conf *c, uint8_t next,
                         uint32_t l4, struct heading *h)
{
	uint8_t first;

	if (bpf_skb_load_bytes(skb, l4, &first, 1) < 0)
		return false;
	if (next == IPPROTO_NUM_FRAGMENT)
		return may_be_tcp(first);
	if (next == IPPROTO_NUM_ICMPV6) {
		if (first < ICMPV6_UNREACHABLE || first > ICMPV6_PARAMETER_PROBLEM ||
		    !quoted6(skb, l4 + ICMP_HEADER_BYTES, h))
			return false;
		turn(h);
		return is_taken(c, h);
	}
	return next == IPPROTO_NUM_TCP && bpf_skb_load_bytes(skb, l4, &h->ports, 4) == 0 &&
	       is_taken(c, h);
}

INLINE bool guard6(struct __sk_buff *skb, const struct guard_conf *c)
{
	uint32_t l4 = ETH_HEADER_BYTES + IPV6_HEADER_BYTES;
	const struct guard_place *dst;
	struct heading h;
	uint8_t next;

	if (!load6(skb, ETH_HEADER_BYTES, &next, &h))
		return false;
	dst = find_place(c, &h.dst);
	if (!dst || !(dst->kinds & GUARD_OURS))
		return false;
	if (!(dst->kinds & GUARD_HOSTS))
		return true;
	if (!skip_extensions(skb, &next, &l4))
		return true; /* as lb drops it */
	return guard6_hosts(skb, c, next, l4, &h);
}

#endif
