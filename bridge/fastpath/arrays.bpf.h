/*
 * The maps that the programs have, most of them in common with the process, which has them in its
 * memory; and how a program reads them, and the frame.
 */
#ifndef BRIDGE_ARRAYS_BPF_H
#define BRIDGE_ARRAYS_BPF_H

#include "map.bpf.h"
#include "shared.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAP_TABLE(constant, name, type) MAP_ARRAY(name, type)

MAP_ARRAY(conf, struct fastpath_conf)
MAP_ARRAY(addresses, struct fastpath_address)
MAP_ARRAY(counts, struct fastpath_counts)
MAP_ARRAY(ways, struct fastpath_way)
MAP_ARRAY(names, struct ip6)
MAP_ARRAY(parts, struct fastpath_part)
TABLE_ARRAYS(MAP_TABLE)
MAP_PROGRAMS(attendant, NSIDES)

enum { BRIDGE_VLAN_BYTES = 4 }; /* by which the kernel's bridge lets a frame exceed the MTU */

INLINE struct fastpath_conf *find_conf(void)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(&conf, &zero);
}

INLINE struct fastpath_counts *find_counts(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counts, &cpu);
}

/* By words, as far as they go: to is aligned to them. */
INLINE void copy_words(uint8_t *to, const uint8_t *from, uint32_t len)
{
	uint32_t i = 0;

	for (; i + sizeof(uint32_t) <= len; i += sizeof(uint32_t))
		word32_store(to + i, word32_load(from + i));
	if (len & 2) {
		word16_store(to + i, word16_load(from + i));
		i += 2;
	}
	if (len & 1)
		to[i] = from[i];
}

/* Copies len bytes at offset, less than 128, wherever in the frame they lie, to a PART; false if
 * the frame doesn't hold them. */
INLINE bool load(struct __sk_buff *skb, uint32_t offset, void *to, uint32_t len)
{
	const uint8_t *at = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint64_t bounded = offset;

	/* changes nothing, but the verifier may have forgotten that it is so small; in assembler,
	 * as the compiler would leave it out */
	if (!__builtin_constant_p(offset))
		__asm__ volatile("%0 &= 127" : "+r"(bounded));
	at += bounded;
	if (at + len <= end) {
		copy_words(to, at, len);
		return true;
	}
	return bpf_skb_load_bytes(skb, offset, to, len) == 0;
}

#endif
