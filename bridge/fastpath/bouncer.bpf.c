/*
 * Drops SYNs that the engine is known to drop, before a worker's socket has them: a filter of that
 * socket, which sees what the socket would get, whether that comes from the wire or from the fast
 * path. What it drops costs no copy, no place in the ring, and wakes nobody.
 *
 * What it knows stands in lb/barred.h, which the worker's engine writes; it lives as long as the
 * socket does.
 */
#include "map.bpf.h"
#include "../../lb/barred.h"

#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

MAP_ARRAY(barred, struct barred)

enum { DROP = 0, TAKE = -1 /* all of it */ };

/* Where the frame's beginning is put: behind the Ethernet header it is aligned. */
enum { ROOM_BYTES = (BARRED_SYN_MAX + 2 + 7) / 8 * 8, ROOM_AT = 2 };

INLINE bool is_barred(struct __sk_buff *skb, uint32_t side)
{
	uint64_t room[ROOM_BYTES / 8] = {0};
	uint8_t *frame = (uint8_t *)room + ROOM_AT;
	uint32_t zero = 0, kind, len = skb->len;
	uint16_t vlan = VLAN_NONE;
	struct barred *table;
	struct barred_syn syn;

	if (len < BARRED_SYN_MIN || len > BARRED_SYN_MAX)
		return false;
	table = bpf_map_lookup_elem(&barred, &zero);
	if (!table || !BOTH_READ(table->last_ns) || bpf_skb_load_bytes(skb, 0, frame, len) < 0)
		return false;
	if (skb->vlan_present) {
		if (skb->vlan_proto != bpf_htons(ETHERTYPE_8021Q))
			return false;
		vlan = skb->vlan_tci & VLAN_ID_MASK;
	}
	if (!barred_read(frame, len, vlan, &syn) ||
	    !barred_find(table, &syn, bpf_ktime_get_ns(), &kind))
		return false;
	barred_count(table, bpf_get_smp_processor_id(), kind, side,
	             len + (skb->vlan_present ? FRAME_TAG_BYTES : 0));
	return true;
}

/* Lets a frame into the socket, but for those that the host sends itself, which sockets that share
 * an interface would get as well. */
INLINE int let_in(struct __sk_buff *skb, uint32_t side)
{
	return skb->pkt_type == PACKET_OUTGOING || is_barred(skb, side) ? DROP : TAKE;
}

SEC("socket")
int outside_bouncer(struct __sk_buff *skb)
{
	return let_in(skb, OUTSIDE);
}

SEC("socket")
int inside_bouncer(struct __sk_buff *skb)
{
	return let_in(skb, INSIDE);
}

char bouncer_license[] SEC("license") = "GPL";
