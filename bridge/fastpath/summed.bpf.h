/*
 * What the kernel has summed up of a frame: the member ip_summed of its own struct sk_buff, which
 * __sk_buff hasn't. Since Linux 6.2 a program may look there. Compiled without SUMMED_IS_SEEN none
 * does, and the kernel is asked to change sums.
 */
#ifndef BRIDGE_SUMMED_BPF_H
#define BRIDGE_SUMMED_BPF_H

#include "map.bpf.h"

/* CHECKSUM_NONE and so on, as the kernel numbers them. */
enum summed {
	SUMMED_NOT,
	SUMMED_CHECKED,  /* and found right */
	SUMMED_COMPLETE, /* the sum of the whole packet is beside it */
	SUMMED_PARTIAL,  /* the field holds the sum of the pseudo header, to be completed later */
	SUMMED_UNSEEN,
};

#ifdef SUMMED_IS_SEEN
#include <bpf/bpf_core_read.h>

/* As far as it matters; where it is in the kernel that runs, its BTF says. */
struct sk_buff {
	uint8_t ip_summed : 2;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *skb) __ksym;

INLINE enum summed summed(struct __sk_buff *skb)
{
	const struct sk_buff *kernels = bpf_cast_to_kern_ctx(skb);

	return (enum summed)BPF_CORE_READ_BITFIELD(kernels, ip_summed);
}
#else
INLINE enum summed summed(struct __sk_buff *skb)
{
	(void)skb;
	return SUMMED_UNSEEN;
}
#endif

#endif
