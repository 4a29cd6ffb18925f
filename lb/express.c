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

/* That of the end's own address: without a branch, for the same reason as everything here. */
static inline const struct ip6 *of_end(enum end end, const struct ip6 *client,
                                       const struct ip6 *server)
{
	const uintptr_t a = (uintptr_t)client, b = (uintptr_t)server;

	return (const struct ip6 *)(a ^ ((a ^ b) & -(uintptr_t)end));
}

/* If only the client's name is a hash, as mostly: not if the rules name him, nor without SNAT. */
static inline bool is_usual6(const struct flow *flow)
{
	return name_is_hashed(flow->arrive[CLIENT].src) &&
	       !name_is_hashed(flow->arrive[SERVER].dst);
}

/* If the source is the one that the tuple names, and the destination, where that is the client
 * himself; others have names, and are known by the key. */
static inline bool is_between6(const uint8_t *ip, const struct tuple *arrive,
                               const struct ip6 *source, const struct ip6 *client, bool usual)
{
	return !difference_ip6(source, ip + IPV6_SRC) &&
	       (usual || !name_is_hashed(arrive->dst) || !difference_ip6(client, ip + IPV6_DST));
}

/*
 * For the flow of job->guess, whose ports and destination are the frame's. usual, as is_usual6()
 * has it, is known to the compiler. What it goes on with is found only when it is needed: the way
 * here and there has few registers left.
 */
static inline __attribute__((always_inline)) bool
express_ipv6_if(bool usual, struct balance *balance, struct frame *frame, const struct job *job,
                uint32_t tick, struct verdict *ret)
{
	uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4_IPV6;
	const uint32_t ref = job->guess;
	const enum end end = end_of(ref);
	const struct ip6 *known = balance->farms->addresses.numbered;
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));
	const struct ip6 *client = &balance->flows.client6[flow_of(ref)], *src;
	const struct ip6 *server = &known[name_number(flow->arrive[SERVER].src)];
	struct tuple to;
	csum_acc change;

	if (!usual)
		client = ip6_of(known, flow->arrive[CLIENT].src, client);
	if (!is_between6(ip, &flow->arrive[end], of_end(end, client, server), client, usual) ||
	    !is_ack(tcp) ||
	    !note(balance, frame, ref, tcp, be16_get(be16_load(ip + IPV6_PAYLOAD_LENGTH)), tick,
	          ret))
		return false;
	to = tuple_reverse(flow->arrive[end_other(end)]);
	src = usual ? &known[name_number(to.src)] : ip6_of(known, to.src, client);
	change = rewrite_ipv6(ip, src, of_end(end, server, client));
	rewrite_ports(tcp, frame->flags, &job->key.tuple, &to, change);
	return true;
}

__attribute__((noinline)) static bool express_ipv6_unusual(struct balance *balance,
                                                           struct frame *frame,
                                                           const struct job *job, uint32_t tick,
                                                           struct verdict *ret)
{
	return express_ipv6_if(false, balance, frame, job, tick, ret);
}

static inline bool express_ipv6(struct balance *balance, struct frame *frame, const struct job *job,
                                uint32_t tick, struct verdict *ret)
{
	const uint32_t ref = job->guess;
	const struct flow *flow = flows_at(&balance->flows, flow_of(ref));

	if (ref == FLOW_NONE || !is_open(flow) || !flow_is_ipv6(flow) ||
	    tuple_rest(&flow->arrive[end_of(ref)]) != tuple_rest(&job->key.tuple))
		return false;
	if (__builtin_expect(!is_usual6(flow), 0))
		return express_ipv6_unusual(balance, frame, job, tick, ret);
	return express_ipv6_if(true, balance, frame, job, tick, ret);
}

bool express(struct balance *balance, struct frame *frame, const struct job *job, uint32_t tick,
             struct verdict *ret)
{
	return job->rest == REST_PLAIN ? express_ipv4(balance, frame, job, tick, ret)
	                               : express_ipv6(balance, frame, job, tick, ret);
}
