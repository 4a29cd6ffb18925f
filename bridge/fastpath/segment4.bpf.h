/*
 * Segments of open IPv4 flows.
 */
#ifndef BRIDGE_SEGMENT4_BPF_H
#define BRIDGE_SEGMENT4_BPF_H

#include "segment.bpf.h"
#include "../../lb/rewrite.h"

/* Forwards a segment of an open flow; else returns FORWARD_... */
INLINE int forward4(struct __sk_buff *skb, const struct fastpath_conf *c, struct fastpath_counts *n,
                    enum side side)
{
	const uint32_t l3 = ETH_HEADER_BYTES, to_us = !skb->cb[FASTPATH_CB_CROSSES];
	uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint8_t *ip = data + l3, *tcp = ip + IPV4_HEADER_BYTES;
	union hop_copy to;
	struct tuple arrives;
	struct found found;
	csum_acc addresses;
	uint32_t len;

	if (skb->cb[FASTPATH_CB_L3] != l3 || data + ETH_HEADER_BYTES > end ||
	    tcp + TCP_HEADER_BYTES > end)
		return FORWARD_UNKNOWN;
	len = length4(skb, l3, ip) - IPV4_HEADER_BYTES;
	if (!is_plain(skb, data, tcp, l3 + IPV4_HEADER_BYTES, len) ||
	    (c->routes && ttl_is_last4(ip)))
		return FORWARD_UNKNOWN;
	tuple_load_addresses(&arrives, ip + IPV4_SRC);
	tuple_load_ports(&arrives, tcp + TCP_SRC);
	if (!find(c, &arrives, word32_load(&arrives.src),
	          share_address(to_us ? arrives.src : arrives.dst), to_us,
	          skb->cb[FASTPATH_CB_GUESS], &found))
		return FORWARD_UNKNOWN;
	if (!admit(skb, c, n, &found, &arrives, data, tcp, l3 + IPV4_HEADER_BYTES, len, side, &to))
		return FORWARD_LEFT;
	addresses = rewrite_ipv4(ip, &arrives, &found.lane.to);
	if (c->routes)
		ttl_spend4(ip);
	set_ports(tcp, &found.lane.to);
	update_checksum(skb, tcp, l3 + IPV4_HEADER_BYTES, addresses, &arrives, &found.lane.to);
	return leave(skb, c, n, side, &to.hop);
}

#endif
