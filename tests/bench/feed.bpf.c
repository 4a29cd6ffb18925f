/*
 * Has a test run go through many frames: when it is run it writes the next one of a ring over the
 * frame that the run has, and goes on with the first program that is measured by a tail call; when
 * it is run again, with the second one, which has what the first one left it. So programs meet flow
 * after flow without a way into the kernel and back between them.
 */
#include "feed.h"
#include "../../bridge/fastpath/map.bpf.h"
#include "../../bridge/fastpath/shared.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

MAP_ARRAY(ring, struct feed)
MAP_PROGRAMS(targets, FEED_TARGETS)

SEC("tc")
int feed(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint32_t zero = 0;
	struct feed *at = bpf_map_lookup_elem(&ring, &zero);
	const struct feed_frame *frame;
	uint32_t step;

	if (!at || data + FEED_BYTES > end)
		return TC_ACT_STOLEN;
	step = at->next % FEED_STEPS;
	frame = &at->frames[at->next / FEED_STEPS & (FEED_RING - 1)];
	at->next++;
	if (!step)
		__builtin_memcpy(data, frame->data, FEED_BYTES);
	bpf_tail_call(skb, &targets, feed_target(step, frame->side));
	return TC_ACT_STOLEN;
}

char feed_license[] SEC("license") = "Dual BSD/GPL";
