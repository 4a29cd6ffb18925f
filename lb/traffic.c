/*
 * The long ways of TCP through the engine. A packet of a flow is judged (progress.c) and forwarded;
 * a SYN may begin a flow (admit.c); a packet without a flow is answered with a RST, or dropped.
 * Each way is a ladder of early returns. Most packets take the short way, express.c.
 */
#include "traffic.h"

#include "admit.h"
#include "life.h"
#include "progress.h"
#include "rewrite.h"
#include "wire.h"

static void forward(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                    enum lb_why why, struct verdict *v)
{
	struct rewrite_to to;

	verdict_settle(v, why);
	engine_route(lb, ref, v);
	balance_departure(&lb->balance, ref, &to);
	rewrite_tcp(frame, packet, &to);
}

/* Forwards a packet of a flow, and notes what follows from it. A damaged one is forwarded as it is,
 * and nothing is noted of it. */
static void hit(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                lb_time now, struct verdict *v)
{
	const struct flow *flow = flows_at(&lb->balance.flows, flow_of(ref));
	const struct hop client = *flows_client(&lb->balance.flows, flow_of(ref));

	if (engine_is_spent(lb, frame))
		return router_expired(engine_rules(lb), &lb->refuse, frame, packet, now, v);
	if (engine_is_nowhere(lb, ref))
		return verdict_settle(v, WHY_CLIENT_NOWHERE);
	if (progress_expects(&lb->balance, ref, packet))
		progress_goes_on(&lb->balance, ref, packet, frame->wire_len, now);
	else if (parse_is_intact(frame, packet))
		progress_packet(&lb->balance, ref, packet, frame->wire_len, now);
	else
		progress_count(&lb->balance, ref, frame->wire_len);
	forward(lb, frame, packet, ref, WHY_FLOW_HIT, v);
	if (engine_is_nowhere(lb, ref)) /* it ended the flow, whose client is forgotten */
		way_of_flow(&v->way, false, flow->server, &client);
}

/*
 * If the packet, a SYN, comes from another VLAN than the live flow's client. Rules with `vlan` know
 * two such clients apart before it comes to this; without, only one of them can have a flow of that
 * address and port.
 */
static bool is_in_other_vlan(const struct lb *lb, uint32_t ref, const struct packet *packet)
{
	return ref != FLOW_NONE && flow_is_live(flows_at(&lb->balance.flows, flow_of(ref))) &&
	       !hop_shares_vlan(flows_client(&lb->balance.flows, flow_of(ref)), &packet->from);
}

/*
 * If a packet of this flow goes to its other end. It doesn't if it is a SYN and the flow has ended,
 * or its server gets no more connections: that begins another flow. Nor if we ended the flow by
 * RSTs: an end that goes on has missed its RST, and gets another one.
 */
static bool is_passed_on(const struct lb *lb, uint32_t ref, const struct packet *packet,
                         bool is_syn)
{
	const struct flow *flow = flows_at(&lb->balance.flows, flow_of(ref));

	if (!flow_is_live(flow))
		return !(is_syn || flow_is_reset_by_us(flow));
	return !is_syn ||
	       !(is_in_other_vlan(lb, ref, packet) || life_gives_way(&lb->balance, flow));
}

void traffic_seek(const struct lb *lb, struct job *job)
{
	const struct scene scene = engine_scene(lb);

	if (job->is_sought)
		return;
	job->is_sought = true;
	job->is_served = farms_service(lb->balance.farms, scene_dst(&scene, &job->packet),
	                               job->packet.tuple.dport, &job->farm, &job->service);
}

/* Notes that a program may drop SYNs like this one, which v answers with no RST, for as long as the
 * engine would (barred.h). */
static void bar(const struct lb *lb, const struct limits_asker *asker, const struct ip6 *client,
                const struct packet *packet, lb_time now, const struct verdict *v)
{
	const struct balance *balance = &lb->balance;
	const bool is_reset = v->why == WHY_RST_LIMITED;
	struct barred_syn syn;
	enum lb_why why;
	lb_time until, rst;

	if (!balance->is_barring || hop_vlan(&packet->from) > VLAN_ID_MASK ||
	    !(is_reset || v->why == WHY_CLIENT_DROPPED))
		return;
	why = limits_foresee(&balance->limits, asker, client, now, &until);
	if (is_reset) {
		rst = refuse_until(&lb->refuse, why, packet, now);
		until = rst.ns < until.ns ? rst : until;
	}
	barred_describe(packet, asker->key, &syn);
	barred_put(balance->limits.barred, &syn,
	           why - WHY_CLIENT_DENIED + (is_reset ? BARRED_RST : 0u), until, now);
}

/* If the limits for clients let the farm's client begin a connection; else settles the SYN. */
static bool is_admitted(struct lb *lb, const struct limits_asker *asker, const struct ip6 *client,
                        const struct packet *packet, lb_time now, struct verdict *v)
{
	const enum lb_why why = limits_judge(&lb->balance.limits, asker, client, now);

	if (why == WHY_FLOW_NEW)
		return true;
	lb->balance.counts.refused++;
	if (asker->rules->farms[asker->farm].on_limit == ON_LIMIT_RESET) {
		refuse(&lb->refuse, v, why, packet, now);
	} else {
		verdict_answer(v, why, packet, OWN_TCP); /* fills in for the log whom it concerns */
		v->limit = (uint8_t)why;
		verdict_settle(v, WHY_CLIENT_DROPPED);
	}
	bar(lb, asker, client, packet, now, v);
	return false;
}

static void turn_away(struct lb *lb, struct verdict *v)
{
	lb->balance.counts.refused++;
	verdict_settle(v, WHY_STRANGER);
}

/* Turns away a SYN that nothing is known of yet, with a challenge if there may be one. */
static void challenge(struct lb *lb, const struct packet *packet, lb_time now, struct verdict *v)
{
	const bool pressed = strangers_is_pressed(&lb->balance.strangers, now);
	uint32_t ack;

	turn_away(lb, v);
	if (!challenges_make(&lb->balance.challenges, packet, pressed, now, &ack))
		return;
	verdict_answer(v, WHY_STRANGER_CHALLENGED, packet, OWN_TCP);
	v->own.tcp_flags = TCP_ACK;
	v->own.ack = ack;
}

/* If the SYN may begin a connection: SYNs don't come in a flood, or this one seems not to be part
 * of it (strangers.h, challenges.h). Else its verdict is settled. */
static bool is_no_flood(struct lb *lb, const struct job *job, lb_time now, struct verdict *v)
{
	if (!balance_is_flooded(&lb->balance, now) ||
	    challenges_let_in(&lb->balance.challenges, job->hash, now) ||
	    strangers_admit(&lb->balance.strangers, balance_sender_key(&job->packet), job->hash,
	                    now))
		return true;
	challenge(lb, &job->packet, now, v);
	return false;
}

/* The same of a SYN that repeats the one of the flow ref, if that is half-open: then the server has
 * had it. */
static bool is_no_flood_of_repeats(struct lb *lb, const struct packet *packet, uint32_t ref,
                                   lb_time now, struct verdict *v)
{
	if (flows_at(&lb->balance.flows, flow_of(ref))->state != FLOW_HALF_OPEN ||
	    !balance_is_flooded(&lb->balance, now) ||
	    strangers_repeats(&lb->balance.strangers, balance_sender_key(packet), now))
		return true;
	turn_away(lb, v);
	return false;
}

/* Begins a flow for a SYN that no flow stands in the way of, or settles its verdict otherwise. old:
 * as admit_open() has it. */
static void begin(struct lb *lb, struct frame *frame, const struct job *job, uint32_t old,
                  lb_time now, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct rules *rules = lb->balance.farms->rules;
	const bool limited = limits_any(&rules->farms[job->farm]);
	struct limits_asker asker;
	struct ip6 client;
	enum lb_why why;
	uint32_t ref;

	if (limited) {
		client = packet->src6 ? *packet->src6 : ip6_mapped(packet->tuple.src);
		asker = limits_asker(rules, job->farm, &client);
		if (!is_admitted(lb, &asker, &client, packet, now, v))
			return;
	}
	if (!is_no_flood(lb, job, now, v))
		return;
	why = admit_open(&lb->balance, packet, &job->key, old, job->farm, job->service, now, &ref);
	if (why != WHY_FLOW_NEW)
		return refuse(&lb->refuse, v, why, packet, now);
	if (limited)
		limits_begun(&lb->balance.limits, &asker, now);
	life_take_over(&lb->balance, flow_of(ref), old, now);
	progress_packet(&lb->balance, ref, packet, frame->wire_len, now);
	forward(lb, frame, packet, ref, why, v);
}

/* Deals with a SYN that isn't passed on to a live flow. old is the flow that it finds, which has
 * ended or gives way; or FLOW_NONE. */
static void syn(struct lb *lb, struct frame *frame, struct job *job, uint32_t old, lb_time now,
                struct verdict *v)
{
	const struct packet *packet = &job->packet;

	traffic_seek(lb, job);
	if (!job->is_served)
		return refuse(&lb->refuse, v, WHY_PORT_NOT_SERVED, packet, now);
	v->farm = (uint16_t)job->farm;
	if (is_in_other_vlan(lb, old, packet)) {
		lb->balance.counts.refused++;
		return refuse(&lb->refuse, v, WHY_OTHER_VLAN, packet, now);
	}
	old = life_give_way(&lb->balance, &job->key, old, now);
	if (old != FLOW_NONE && is_passed_on(lb, old, packet, true))
		return hit(lb, frame, packet, old, now, v);
	if (engine_is_spent(lb, frame))
		return router_expired(engine_rules(lb), &lb->refuse, frame, packet, now, v);
	begin(lb, frame, job, old, now, v);
}

/* The flow that the packet belongs to, whose key has found ref: perhaps an older one that ref was
 * made beside. */
static uint32_t resolve(struct lb *lb, const struct frame *frame, const struct packet *packet,
                        uint32_t ref, lb_time now)
{
	const struct flow *flow = flows_at(&lb->balance.flows, flow_of(ref));

	if (end_of(ref) == SERVER || flow->state != FLOW_HALF_OPEN)
		return ref;
	__builtin_prefetch(&lb->balance.flows.spare[flow_of(ref)], 1); /* it may open now */
	if (anew_older(&lb->balance.anew, flow_of(ref)) == FLOW_NONE ||
	    !parse_is_intact(frame, packet))
		return ref;
	return progress_resolve(&lb->balance, ref, packet, now);
}

bool traffic_is_probe_reply(const struct scene *scene, const struct packet *packet)
{
	return rules_is_probe_port(packet->tuple.dport) &&
	       scene_src(scene, packet)->kinds & ADDRESS_SERVER;
}

/* How many of the len bytes from at on the frame holds. */
static uint32_t held(const struct frame *frame, uint32_t at, uint32_t len)
{
	if (at >= frame->len)
		return 0;
	return len < frame->len - at ? len : frame->len - at;
}

static void settle_probe(struct verdict *v, const struct frame *frame, const struct packet *packet)
{
	const uint32_t header = (frame->data[packet->l4 + TCP_DATA_OFFSET] >> 4) * 4u;

	verdict_settle(v, WHY_PROBE);
	v->probe = (struct probe_reply){
	        .tuple = packet->tuple,
	        .seq = packet->seq,
	        .ack = packet->ack,
	        .data_at = packet->l4 + header,
	        .data_len = held(frame, packet->l4 + header, packet->l4_len - header),
	        .tcp_flags = packet->tcp_flags,
	};
}

/* A RST that belongs to no flow. */
static void rst(struct lb *lb, const struct job *job, lb_time now, struct verdict *v)
{
	const bool answers =
	        challenges_answer(&lb->balance.challenges, &job->packet, job->hash, now);

	verdict_settle(v, answers ? WHY_STRANGER_ANSWERED : WHY_RST_NO_FLOW);
}

/* The rest of the last step: TCP to us that belongs to no flow, or to one that isn't passed on. */
static void balance_unknown(struct lb *lb, struct frame *frame, struct job *job, uint32_t old,
                            bool is_syn, lb_time now, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct scene scene = engine_scene(lb);

	if (scene_is_hosts(&scene, packet, &packet->tuple))
		return verdict_settle(v, WHY_TO_HOST);
	if (scene_is_martian(&scene, frame, packet))
		return verdict_settle(v, WHY_MARTIAN);
	if (!parse_is_intact(frame, packet))
		return verdict_settle(v, WHY_BAD_CHECKSUM);
	if (is_syn)
		return syn(lb, frame, job, old, now, v);
	if (traffic_is_probe_reply(&scene, packet))
		return settle_probe(v, frame, packet);
	if (packet->tcp_flags & TCP_RST)
		return rst(lb, job, now, v);
	refuse(&lb->refuse, v, WHY_NO_FLOW, packet, now);
}

void traffic_tcp(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                 struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct scene scene = engine_scene(lb);
	uint32_t ref = flows_find_guessed(&lb->balance.flows, &job->key, job->hash, job->guess);
	const uint8_t opening = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	bool is_syn = opening == TCP_SYN && (ref == FLOW_NONE || end_of(ref) == CLIENT);

	if (ref == FLOW_NONE && engine_is_elsewhere(lb, &job->key, packet->src6, packet->dst6,
	                                            hop_vlan(&packet->from), v))
		return;
	if (ref != FLOW_NONE) {
		progress_take(&lb->balance, flow_of(ref), now);
		ref = resolve(lb, frame, packet, ref, now);
	}
	if (ref != FLOW_NONE && is_passed_on(lb, ref, packet, is_syn)) {
		if (!is_syn || is_no_flood_of_repeats(lb, packet, ref, now, v))
			hit(lb, frame, packet, ref, now, v);
		return;
	}
	if (lb->bypassed && !traffic_is_probe_reply(&scene, packet))
		return scene_settle_other(&scene, frame, v);
	if ((ref == FLOW_NONE || end_of(ref) == CLIENT) &&
	    !(scene_dst(&scene, packet)->kinds & ADDRESS_OURS))
		return scene_settle_other(&scene, frame, v); /* snat = off, not through the VIP */
	balance_unknown(lb, frame, job, ref, is_syn, now, v);
}
