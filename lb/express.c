/*
 * The short way: what balance() in lb.c, balance_packet(), tcp_track() and rewrite_tcp() come to
 * for a plain frame with ACK and neither SYN, FIN nor RST, of an open IPv4 flow that was guessed
 * right. Each step is the same function as there, or the same in fewer words;
 * tests/unit/express_test.c holds both ways against each other.
 *
 * An open flow is in the index by both tuples, has no deadline to be moved, and what it is sent
 * changes neither its state nor anybody's count. Which end a packet comes from can't be guessed by
 * the processor, so nothing here branches on it.
 */
#include "express.h"

#include "tcp.h"

/* One of the two, without a branch. */
static uint32_t either(bool first, uint32_t a, uint32_t b)
{
	return b ^ ((a ^ b) & -(uint32_t)first);
}

/*
 * 0 if the frame, a plain one, comes from where the client was. By words: a struct hop that has
 * just been put together in smaller pieces would be waited for. It is the first 11 bytes of both.
 */
static uint64_t difference(const struct flow_cold *cold, const struct frame *frame)
{
	const uint64_t mac_mask =
	        0xffffffffffff;              /* the two bytes behind it are hop.tci[0]: no tag */
	const uint32_t tail_mask = 0xffffff; /* the byte behind it is no longer hop's */
	uint64_t source, head;
	uint32_t tail;

	memcpy(&source, frame->data + ETH_SRC, sizeof(source));
	memcpy(&head, cold, sizeof(head));
	memcpy(&tail, (const uint8_t *)cold + sizeof(head), sizeof(tail));
	return ((source & mac_mask) ^ head) | ((tail & tail_mask) ^ (frame->side & 1u) << 16);
}

static_assert(offsetof(struct flow_cold, client) == 0 && sizeof(struct hop) == 11, "difference()");

/* Apart, as it seldom comes to that. */
__attribute__((noinline)) static void move_client(struct flow_cold *cold, const struct frame *frame)
{
	cold->client = parse_plain_hop(frame);
}

static void settle(struct verdict *v, uint32_t ref, uint16_t server, const struct hop *client,
                   const struct frame *frame)
{
	const bool is_client = end_of(ref) == CLIENT;

	verdict_settle(v, WHY_FLOW_HIT);
	v->side = (uint8_t)either(is_client, side_other(frame->side), client->side);
	v->sighted = v->conflict = false;
	v->server = (uint16_t)either(is_client, server, SERVER_NONE);
	v->flow = flow_of(ref);
	v->hop = *client;
}

bool express(struct balance *balance, struct frame *frame, const struct job *job, uint32_t tick,
             struct verdict *ret)
{
	uint8_t *ip = frame->data + PARSE_PLAIN_L3, *tcp = frame->data + PARSE_PLAIN_L4;
	const uint32_t ref = job->guess;
	const enum end end = end_of(ref);
	const struct tuple from = job->key.tuple;
	struct flow *flow = flows_at(&balance->flows, flow_of(ref));
	struct flow_cold *cold = flows_cold(&balance->flows, flow_of(ref));
	struct packet packet;
	struct tuple to;
	csum_acc change;

	if (ref == FLOW_NONE || flow->state != FLOW_OPEN || flow_is_ipv6(flow) ||
	    !tuple_eq(&flow->arrive[end], &from))
		return false;
	if ((tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return false;
	if (difference(cold, frame) & -(uint64_t)(end == CLIENT))
		move_client(cold, frame);
	/* the flags that matter, known to the compiler */
	parse_segment(tcp, be16_get(be16_load(ip + IPV4_TOTAL_LENGTH)) - IPV4_HEADER_BYTES, TCP_ACK,
	              &packet);
	flow_count(flow, cold, end, frame->wire_len, tick);
	tcp_advance(flow, end, &packet);
	settle(ret, ref, flow->server, &cold->client, frame);
	to = tuple_reverse(flow->arrive[end_other(end)]);
	change = rewrite_ipv4(ip, &from, &to);
	rewrite_ports(tcp, frame->flags, &from, &to, change);
	return true;
}
