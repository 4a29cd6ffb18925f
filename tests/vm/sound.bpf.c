/*
 * A program of the kind that forwards balanced packets at a port's tc ingress: it looks a packet up
 * in an array that a process may map, counts there by an atomic addition, rewrites an address with
 * its checksum, and redirects. With UNSOUND 1 it reads the packet without having compared with its
 * end, which no verifier lets pass.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stddef.h>

#ifndef UNSOUND
#define UNSOUND 0
#endif

struct place {
	__u64 packets;
	__u32 server; /* network byte order */
	__u32 port;   /* interface index */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct place);
} places SEC(".maps");

enum {
	AT_CHECK = ETH_HLEN + offsetof(struct iphdr, check),
	AT_DADDR = ETH_HLEN + offsetof(struct iphdr, daddr)
};

SEC("tc")
int forward(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = (void *)(long)skb->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct place *place;
	__u32 key, old, new;

	if (!UNSOUND && (void *)(ip + 1) > end)
		return TC_ACT_OK;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	old = ip->daddr;
	key = old & 255;
	place = bpf_map_lookup_elem(&places, &key);
	if (!place || !place->port)
		return TC_ACT_OK;
	__sync_fetch_and_add(&place->packets, 1);
	new = place->server;
	bpf_l3_csum_replace(skb, AT_CHECK, old, new, sizeof(new));
	bpf_skb_store_bytes(skb, AT_DADDR, &new, sizeof(new), 0);
	return (int)bpf_redirect(place->port, 0);
}

char _license[] SEC("license") = "GPL";
