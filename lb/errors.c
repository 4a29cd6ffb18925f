/*
 * Errors that a router or an end sends about a packet of a flow, as it was when we had rewritten
 * it; of probes, for whoever probes. What is about no flow of ours is the wire's, unless it is
 * addressed to us.
 */
#include "errors.h"

#include "icmp.h"
#include "rewrite.h"
#include "tcp.h"
#include "wire.h"

/* If the error was sent by the end that should have got the packet, and not by a router. */
static bool is_from_receiver(const struct packet *packet, const struct icmp_error *error)
{
	return error->dst6 ? ip6_eq(packet->src6, error->dst6)
	                   : be32_eq(packet->tuple.src, error->tuple.dst);
}

/*
 * If the error is addressed to who has sent what it quotes, as all are (RFC 792; RFC 4443, 2.4):
 * that is an address that we have where the error comes from. Another one of ours may be in another
 * VLAN, and whoever is there can't have had what it has sent elsewhere.
 */
static bool is_to_sender(const struct packet *packet, const struct icmp_error *error)
{
	return error->src6 ? ip6_eq(packet->dst6, error->src6)
	                   : be32_eq(packet->tuple.dst, error->tuple.src);
}

/* Settles one that isn't. */
static void settle_misled(const struct scene *scene, const struct frame *frame,
                          const struct packet *packet, struct verdict *v)
{
	if (scene_dst(scene, packet)->kinds & ADDRESS_HOST)
		verdict_settle(v, WHY_TO_HOST);
	else
		scene_settle_no_flow(scene, frame, packet, WHY_ICMP_NO_FLOW, v);
}

/* If the error is about what a probe of ours has sent, as far as that can be seen. */
static bool is_probe_error(const struct lb *lb, const struct frame *frame, const struct job *job)
{
	const struct scene scene = engine_scene(lb);
	struct packet answer = job->packet;

	answer.tuple = job->key.tuple;
	return rules_is_probe_port(answer.tuple.dport) &&
	       scene_src(&scene, &answer)->kinds & ADDRESS_SERVER &&
	       !scene_is_martian(&scene, frame, &job->packet) &&
	       parse_is_intact(frame, &job->packet);
}

static void settle_probe_error(const struct frame *frame, const struct job *job, struct verdict *v)
{
	verdict_settle(v, WHY_PROBE);
	v->probe = (struct probe_reply){.tuple = job->key.tuple,
	                                .seq = job->error.seq,
	                                .is_icmp = true,
	                                .icmp_type = frame->data[job->packet.l4 + ICMP_TYPE],
	                                .icmp_code = frame->data[job->packet.l4 + ICMP_CODE]};
}

/*
 * An error about a packet that we sent to an end is for the other end, which sent it to us. If that
 * end itself sent the error, and not a router, it appears to come from where the other end thinks
 * the first one is.
 */
void errors_input(struct lb *lb, struct frame *frame, const struct job *job, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct flows *flows = &lb->balance.flows;
	const struct scene scene = engine_scene(lb);
	uint32_t ref = flows_find(flows, &job->key, job->hash);
	struct rewrite_to quoted, outer = {.src6 = packet->src6};

	if (!is_to_sender(packet, &job->error))
		return settle_misled(&scene, frame, packet, v);
	if (ref == FLOW_NONE && engine_is_elsewhere(lb, &job->key, job->error.dst6, job->error.src6,
	                                            hop_vlan(&packet->from), v))
		return;
	if (ref == FLOW_NONE && is_probe_error(lb, frame, job))
		return settle_probe_error(frame, job, v);
	if (ref == FLOW_NONE && scene_is_hosts(&scene, packet, &job->key.tuple))
		return verdict_settle(v, WHY_TO_HOST);
	if (engine_is_spent(lb, frame))
		return verdict_settle(v, WHY_ICMP_LIMITED);
	if (ref == FLOW_NONE || !tcp_may_have_sent(flows_at(flows, flow_of(ref)),
	                                           end_other(end_of(ref)), job->error.seq))
		return scene_settle_no_flow(&scene, frame, packet, WHY_ICMP_NO_FLOW, v);
	if (scene_is_martian(&scene, frame, packet))
		return scene_settle_no_flow(&scene, frame, packet, WHY_MARTIAN, v);
	if (engine_is_nowhere(lb, ref))
		return verdict_settle(v, WHY_CLIENT_NOWHERE);
	balance_arrival(&lb->balance, flow_of(ref), end_other(end_of(ref)), &quoted);
	outer.tuple = (struct tuple){.src = packet->tuple.src, .dst = quoted.tuple.src};
	outer.dst6 = quoted.src6;
	if (is_from_receiver(packet, &job->error)) {
		outer.tuple.src = quoted.tuple.dst;
		outer.src6 = quoted.dst6;
	}
	verdict_settle(v, WHY_ICMP_ERROR);
	engine_route(lb, ref, v);
	icmp_translate(frame, packet, &job->error, &outer, &quoted);
}
