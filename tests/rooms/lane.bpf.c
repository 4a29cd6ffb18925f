/*
 * The fast lane as a program in the kernel: that lb's headers compile for it, and how its steps go
 * together. For untagged IPv4 from one port; where frames go, and their layer 2, isn't its subject.
 */
#include "../../lb/lane.h"
#include "../../lb/table.h"
#include "../../lb/rewrite.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define SECTION(name) __attribute__((section(name), used))

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static uint64_t (*ktime)(void) = (void *)BPF_FUNC_ktime_get_ns;

/* The engine's arrays, as lb_table_sizes() counts their elements. */
#define MAP(constant, name, element)                                                               \
	struct {                                                                                   \
		int (*type)[BPF_MAP_TYPE_ARRAY];                                                   \
		int (*map_flags)[BPF_F_MMAPABLE];                                                  \
		int (*max_entries)[1];                                                             \
		uint32_t *key;                                                                     \
		element *value;                                                                    \
	} name SECTION(".maps");
TABLE_ARRAYS(MAP)

enum { BUCKETS_MAX = 4 }; /* that are looked at for a flow */

struct found {
	struct flow *flow;
	struct lane lane;
	uint32_t ref;
};

/* The flow of that tuple in the bucket. */
static inline bool find_in(const struct bucket *bucket, const struct tuple *tuple, uint8_t tag,
                           struct found *ret)
{
	const uint32_t matches = lane_match(bucket, tag);

	for (unsigned slot = 0; slot < INDEX_SLOTS; slot++) {
		uint32_t f;

		if (!(matches >> slot & 1))
			continue;
		ret->ref = lane_ref(bucket, slot);
		f = flow_of(ret->ref);
		ret->flow = map_lookup(&flows, &f);
		if (ret->flow && lane_look(ret->flow, end_of(ret->ref), tuple, &ret->lane))
			return true;
	}
	return false;
}

static inline bool find(const struct table_head *h, const struct tuple *tuple, struct found *ret)
{
	const uint64_t hash = tuple_multilinear(h->factors, tuple);
	uint32_t b = index_home(h->nbuckets, hash);

	for (unsigned n = 0; n < BUCKETS_MAX; n++) {
		struct bucket *bucket = map_lookup(&buckets, &b);

		if (!bucket)
			return false;
		if (find_in(bucket, tuple, index_tag(hash), ret))
			return true;
		if (!lane_passed(bucket))
			return false;
		b = b + 1 == h->nbuckets ? 0 : b + 1;
	}
	return false;
}

SECTION("tc") int lane(struct __sk_buff *skb)
{
	uint8_t *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	uint8_t *ip = data + PARSE_PLAIN_L3, *tcp = data + PARSE_PLAIN_L4;
	uint32_t zero = 0, f;
	struct table_head *h = map_lookup(&head, &zero);
	struct frame frame;
	struct packet packet;
	struct tuple tuple;
	struct found found;
	struct flow_cold *counts;

	if (!h || data + PARSE_PLAIN_L4 + TCP_HEADER_BYTES > end)
		return TC_ACT_UNSPEC;
	frame = (struct frame){
	        .data = data, .len = PARSE_PLAIN_L4 + TCP_HEADER_BYTES, .wire_len = skb->len};
	if (!parse_is_plain(&frame) ||
	    (tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return TC_ACT_UNSPEC;
	tuple_load_addresses(&tuple, ip + IPV4_SRC);
	tuple_load_ports(&tuple, tcp + TCP_SRC);
	if (!find(h, &tuple, &found))
		return TC_ACT_UNSPEC;
	parse_segment(tcp, be16_get(be16_load(ip + IPV4_TOTAL_LENGTH)) - IPV4_HEADER_BYTES, TCP_ACK,
	              &packet);
	f = flow_of(found.ref);
	counts = map_lookup(&cold, &f);
	if (!counts || !lane_note(found.flow, end_of(found.ref), &packet,
	                          flow_tick((lb_time){ktime()}, (lb_time){h->epoch_ns})))
		return TC_ACT_UNSPEC;
	lane_count(counts, end_of(found.ref), 1, skb->len);
	rewrite_ports(tcp, FRAME_CSUM_PARTIAL, &tuple, &found.lane.to,
	              rewrite_ipv4(ip, &tuple, &found.lane.to));
	return TC_ACT_OK;
}

/* the clock is for programs under the GPL */
char program_license[] SECTION("license") = "Dual BSD/GPL";
