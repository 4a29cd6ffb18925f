/*
 * The short way: what traffic_tcp(), progress_packet(), tcp_track() and rewrite_tcp() come to
 * for a plain frame with ACK and neither SYN, FIN nor RST, of an open flow that was guessed right,
 * from where its client always was, and with numbers that are expected next. What isn't
 * takes the long way to be judged. Each step is the same function as there, or the same in fewer
 * words; tests/unit/express_test.c holds both ways against each other.
 *
 * An open flow is in the index by both tuples, has no deadline to be moved, and what it is sent
 * changes neither its state nor anybody's count. Which end a packet comes from can't be guessed by
 * the processor, so nothing here branches on it.
 */
#include "express.h"

#include "follow.h"
#include "tcp.h"

/*
 * 0 if the frame, a plain one, comes from that hop. By words: a struct hop that has just been put
 * together in smaller pieces would be waited for.
 */
static uint64_t difference(const struct hop *hop, const struct frame *frame)
{
	/* the two bytes behind it are hop.tci[0]: no tag */
	const uint64_t mac_mask = 0xffffffffffff;
	const uint64_t source = word64_load(frame->data + ETH_SRC);

	return ((source & mac_mask) ^ hop_head(hop)) | (hop_tail(hop) ^ (frame->side & 1u) << 24);
}

static void settle(struct verdict *v, uint32_t ref, uint16_t server, const struct hop *client)
{
	verdict_settle(v, WHY_FLOW_HIT);
	v->sighted = v->heard = v->conflict = false;
	v->flow = flow_of(ref);
	way_of_flow(&v->way, end_of(ref) == CLIENT, server, client);
}

/*
 * Notes the segment in tcp, of len bytes of layer 4, and settles where it goes. False, having done
 * nothing, if it isn't what the flow goes on with.
 */
static inline __attribute__((always_inline)) bool note(struct balance *balance,
                                                       const struct frame *frame, uint32_t ref,
                                                       const uint8_t *tcp, uint32_t len,
                                                       uint32_t tick, struct verdict *ret)
{
	const uint32_t f = flow_of(ref);
	const enum end end = end_of(ref);
	struct flows *flows = &balance->flows;
	struct flow *flow = flows_at(flows, f);
	const struct hop *client = flows_client(flows, f);
	struct packet packet;

	if (difference(client, frame) & -(uint64_t)(end == CLIENT))
		return false;
	/* the flags that matter, known to the compiler */
	parse_segment(tcp, len, TCP_ACK, &packet);
	if (!tcp_take_expected(flow, end, &packet))
		return false;
	flows_count(flows, f, end, frame->wire_len, tick);
	settle(ret, ref, flow->server, client);
	return true;
}

/* If the flow is open, and it is known where its client is. */
static inline bool is_open(const struct flow *flow)
{
	return flow->state == FLOW_OPEN && flow->hop != HOPS_NOWHERE;
}

static inline bool is_ack(const uint8_t *tcp)
{
	return (tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

static inline bool express_ipv4(struct balance *balance, struct frame *frame, const struct job *job,
                                uint32_t tick, struct verdict *ret)
{
	uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4;
	const uint32_t ref = job->guess;
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));
	const struct tuple from = job->key.tuple;
	struct tuple to;
	csum_acc change;

	if (ref == FLOW_NONE || !is_open(flow) || flow_is_ipv6(flow) ||
	    !tuple_eq(&flow->arrive[end_of(ref)], &from) || !is_ack(tcp))
		return false;
	if (!note(balance, frame, ref, tcp,
	          be16_get(be16_load(ip + IPV4_TOTAL_LENGTH)) - IPV4_HEADER_BYTES, tick, ret))
		return false;
	to = tuple_reverse(flow->arrive[end_other(end_of(ref))]);
	change = rewrite_ipv4(ip, &from, &to);
	rewrite_ports(tcp, frame->flags, &from, &to, change);
	return true;
}

/* 0 if they are the same. */
static uint64_t difference_ip6(const struct ip6 *a, const uint8_t *b)
{
	return (word64_load(a->b) ^ word64_load(b)) | (word64_load(a->b + 8) ^ word64_load(b + 8));
}

/* The address of that name, of which known are those that have numbers; client is that of the
 * flow's, which is what a hash names. */
static inline const struct ip6 *ip6_of(const struct ip6 *known, be32 name, const struct ip6 *client)
{
	return name_is_hashed(name) ? client : &known[name_number(name)];
}

/*
 * The addresses that a packet from one end is to have, and has, of its source; the rest is known.
 */
struct ends6 {
	const struct ip6 *from, *src, *dst;
};

/*
 * Mostly only the client's name is a hash; then which is which is found without a branch, for the
 * same reason as everything here.
 */
static inline void find_ends6(const struct balance *balance, const struct flow *flow, enum end end,
                              const struct ip6 *client, struct ends6 *ret)
{
	const struct ip6 *known = balance->farms->addresses.numbered;
	const struct tuple *arrive = flow->arrive;

	if (__builtin_expect(
	            name_is_hashed(arrive[CLIENT].src) && !name_is_hashed(arrive[SERVER].dst), 1)) {
		const uintptr_t server = (uintptr_t)&known[name_number(arrive[SERVER].src)];
		const uintptr_t other = ((uintptr_t)client ^ server) & -(uintptr_t)end;

		ret->from = (const struct ip6 *)((uintptr_t)client ^ other);
		ret->dst = (const struct ip6 *)(server ^ other);
		ret->src = &known[name_number(arrive[end_other(end)].dst)];
		return;
	}
	ret->from = ip6_of(known, arrive[end].src, client);
	ret->src = ip6_of(known, arrive[end_other(end)].dst, client);
	ret->dst = ip6_of(known, arrive[end_other(end)].src, client);
}

static inline bool express_ipv6(struct balance *balance, struct frame *frame, const struct job *job,
                                uint32_t tick, struct verdict *ret)
{
	uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4_IPV6;
	const uint32_t ref = job->guess;
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));
	const struct tuple *arrive = &flow->arrive[end_of(ref)];
	const struct ip6 *client = &balance->flows.client6[flow_of(ref)];
	struct ends6 ends;
	struct tuple to;
	csum_acc change;

	if (ref == FLOW_NONE || !is_open(flow) || !flow_is_ipv6(flow) ||
	    tuple_rest(arrive) != tuple_rest(&job->key.tuple))
		return false;
	find_ends6(balance, flow, end_of(ref), client, &ends);
	if (difference_ip6(ends.from, ip + IPV6_SRC) ||
	    (name_is_hashed(arrive->dst) && difference_ip6(client, ip + IPV6_DST)) || !is_ack(tcp))
		return false;
	if (!note(balance, frame, ref, tcp, be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH)), tick,
	          ret))
		return false;
	to = tuple_reverse(flow->arrive[end_other(end_of(ref))]);
	change = rewrite_ipv6(ip, ends.src, ends.dst);
	rewrite_ports(tcp, frame->flags, &job->key.tuple, &to, change);
	return true;
}

bool express(struct balance *balance, struct frame *frame, const struct job *job, uint32_t tick,
             struct verdict *ret)
{
	return job->rest == REST_PLAIN ? express_ipv4(balance, frame, job, tick, ret)
	                               : express_ipv6(balance, frame, job, tick, ret);
}
