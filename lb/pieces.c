/*
 * Fragments: what is done with the first one of a packet is done with the others. frag.c finds out
 * which belong together, and which must wait; here is decided where they go, and what is written
 * into them.
 */
#include "pieces.h"

#include "progress.h"
#include "rewrite.h"
#include "traffic.h"
#include "wire.h"

/* If the receiver sees another source address than the sender's: always, but at servers with `snat
 * = off`. */
static bool is_source_changed(const struct lb *lb, const struct verdict *v)
{
	return v->way.server == SERVER_NONE || flow_has_snat(flows_at(&lb->balance.flows, v->flow));
}

/* Counts a fragment that follows, if its flow is still there. */
static void count_fragment(struct lb *lb, const struct frame *frame, const struct frag_route *route)
{
	const uint32_t end = route->way.server == SERVER_NONE ? SERVER : CLIENT;

	if (flows_at(&lb->balance.flows, route->flow)->state != FLOW_FREE &&
	    flows_created_ms(&lb->balance.flows, route->flow) == route->created_ms)
		progress_count(&lb->balance, route->flow << 1 | end, frame->wire_len);
}

/* Notes that the others go where v sends the first fragment, which has been rewritten. */
static void decide_fragments(struct lb *lb, struct frame *frame, const struct packet *packet,
                             uint32_t datagram, const struct verdict *v)
{
	const uint8_t *ip = frame->data + packet->l3;
	struct frag_route route = {
	        .way = v->way,
	        .flow = v->act == LB_FORWARD ? v->flow : FLOW_NONE,
	};

	if (packet->kind == PACKET_IPV6) {
		route.src6 = *packet->src6;
		route.dst6 = *packet->dst6;
	} else {
		route.src = be32_load(ip + IPV4_SRC);
		route.dst = be32_load(ip + IPV4_DST);
	}
	route.worker = v->act == LB_HAND_OVER ? v->worker : lb->balance.farms->share.worker;
	route.id = packet->frag_id;
	if (v->act == LB_FORWARD) {
		route.created_ms = flows_created_ms(&lb->balance.flows, v->flow);
		if (is_source_changed(lb, v))
			route.id = frags_new_id(&lb->frags, &route, &lb->balance.farms->share,
			                        packet->kind == PACKET_IPV6);
		rewrite_frag_id(frame, packet, route.id);
	}
	if (v->act == LB_FORWARD || v->act == LB_BRIDGE || v->act == LB_HAND_OVER)
		frags_decide(&lb->frags, datagram, &route);
}

static void follow(struct lb *lb, struct frame *frame, const struct packet *packet,
                   const struct frag_route *route, struct verdict *v)
{
	const struct rewrite_to to = {.tuple = {.src = route->src, .dst = route->dst},
	                              .src6 = &route->src6,
	                              .dst6 = &route->dst6};

	v->worker = route->worker;
	if (route->worker != lb->balance.farms->share.worker)
		return verdict_settle(v, WHY_HANDED_OVER);
	if (route->flow == FLOW_NONE)
		return verdict_settle(v, WHY_NOT_OURS);
	if (engine_is_spent(lb, frame))
		return verdict_settle(v, WHY_ICMP_LIMITED);
	verdict_settle(v, WHY_FRAGMENT);
	v->flow = route->flow;
	v->way = route->way;
	count_fragment(lb, frame, route);
	rewrite_frag_id(frame, packet, route->id);
	rewrite_addresses(frame, packet, &to);
}

void pieces_input(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                  struct verdict *v)
{
	const struct scene scene = engine_scene(lb);
	const struct frag_route *route;
	uint32_t datagram;

	switch (frags_take(&lb->frags, frame, &job->packet, now, &route, &datagram)) {
	case FRAG_FIRST:
		if (!parse_tcp(frame, &job->packet))
			return scene_settle_no_flow(&scene, frame, &job->packet, WHY_FRAGMENT_TINY,
			                            v);
		screen_key(&job->packet, &job->key);
		job->hash = flows_hash_key(&lb->balance.flows, &job->key);
		job->guess = FLOW_NONE;
		traffic_tcp(lb, frame, job, now, v);
		return decide_fragments(lb, frame, &job->packet, datagram, v);
	case FRAG_ROUTED:
		return follow(lb, frame, &job->packet, route, v);
	case FRAG_WAITS:
		return verdict_settle(v, WHY_FRAGMENT_HELD);
	case FRAG_OVERLAPS:
		return scene_settle_no_flow(&scene, frame, &job->packet, WHY_FRAGMENT_OVERLAP, v);
	case FRAG_TINY:
		return scene_settle_no_flow(&scene, frame, &job->packet, WHY_FRAGMENT_TINY, v);
	case FRAG_NO_ROOM:
		return scene_settle_no_flow(&scene, frame, &job->packet, WHY_FRAGMENT_NO_ROOM, v);
	}
}

bool pieces_take(struct lb *lb, struct frame *ret, struct verdict *ret_verdict)
{
	const struct frag_route *route;
	struct packet packet;

	if (!frags_release(&lb->frags, ret, &route))
		return false;
	parse_frame(ret, &packet);
	parse_ip(ret, &packet); /* succeeds, as it did when the fragment came */
	*ret_verdict = (struct verdict){0};
	verdict_begin(ret_verdict, ret);
	follow(lb, ret, &packet, route, ret_verdict);
	if (ret_verdict->act == LB_FORWARD && rules_has_stack(engine_rules(lb)))
		router_spend(ret);
	if (ret_verdict->act == LB_HAND_OVER) {
		lb->whys[WHY_FRAGMENT_HELD]--;
		lb->whys[WHY_HANDED_OVER]++;
	}
	return true;
}
