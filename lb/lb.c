/*
 * The engine.
 *
 * A burst goes through in three steps, so that memory is fetched while other frames are worked on:
 * screen.c reads each frame and settles all that no flow is needed for; the flows of the rest are
 * prefetched; finish() then takes them one by one, in order, so that how frames fall into bursts
 * makes no difference, but to fragments that wait for their first one: these are sent at the end of
 * the burst that brings it. Which place in the index a new flow needs besides depends on those
 * before it; so that is fetched when the SYN before it has been settled. A step decides by a ladder
 * of early returns, each with its reason. Most packets take a short way through it all (express.c),
 * which comes to the same.
 *
 * Frames are only touched from layer 3 upwards. Nothing is sent from here: an answer is described
 * in the verdict, and bridge/ makes it.
 */
#include "lb.h"

#include "admit.h"
#include "adopt.h"
#include "express.h"
#include "follow.h"
#include "frag.h"
#include "life.h"
#include "owner.h"
#include "refuse.h"
#include "rewrite.h"
#include "router.h"
#include "screen.h"
#include "tcp.h"
#include "wire.h"

enum {
	LB_BURST = 32, /* frames that go through the steps together */
};

struct lb {
	struct mac macs[NSIDES];
	uint32_t mtus[NSIDES];
	struct balance balance;
	struct frags frags;
	uint64_t whys[LB_NWHYS];
	struct refuse refuse;
	uint8_t held;  /* see lb_hold() */
	bool bypassed; /* see lb_bypass() */
};

static size_t measure(const struct rules *rules, const struct share *share, struct table *table)
{
	static const struct hash_key no_key;
	struct arena arena = {.table = table};
	struct balance balance;
	struct frags frags;

	arena_take(&arena, 1, sizeof(struct lb));
	balance_lay_out(&balance, &arena, rules, share, no_key, (lb_time){0});
	frags_lay_out(&frags, &arena);
	return arena.used;
}

size_t lb_size(const struct rules *rules, const struct share *share)
{
	return measure(rules, share, NULL);
}

size_t lb_table_sizes(const struct rules *rules, const struct share *share, struct table *ret)
{
	*ret = (struct table){0};
	return measure(rules, share, ret);
}

static struct lb *make(void *mem, struct table *table, struct farms *farms,
                       const struct hash_key *key, const struct mac macs[NSIDES], lb_time now)
{
	struct arena arena = {.base = mem, .table = table};
	struct lb *lb = arena_take(&arena, 1, sizeof(*lb));

	*lb = (struct lb){.macs = {macs[OUTSIDE], macs[INSIDE]}};
	balance_lay_out(&lb->balance, &arena, farms->rules, &farms->share, *key, now);
	balance_begin(&lb->balance, farms);
	frags_lay_out(&lb->frags, &arena);
	frags_seed(&lb->frags, key);
	refuse_begin(&lb->refuse, key, now);
	return lb;
}

struct lb *lb_init(void *mem, struct farms *farms, const struct hash_key *key,
                   const struct mac macs[NSIDES], lb_time now)
{
	return lb_init_shared(mem, NULL, farms, key, macs, now);
}

struct lb *lb_init_shared(void *mem, struct table *table, struct farms *farms,
                          const struct hash_key *key, const struct mac macs[NSIDES], lb_time now)
{
	struct lb *lb;

	if (table)
		table->keep = false;
	lb = make(mem, table, farms, key, macs, now);
	flows_announce(&lb->balance.flows, now);
	flows_note_names(&lb->balance.flows, farms->rules->names, farms->rules->nnames);
	return lb;
}

/* If the arrays hold a table of this layout, as large as one of these rules. */
static bool is_adoptable(const struct table *table, const struct farms *farms, lb_time now)
{
	const struct table_head *head = table->arrays[TABLE_HEAD].memory;
	struct table sizes;

	lb_table_sizes(farms->rules, &farms->share, &sizes);
	return BOTH_READ_FIRST(head->layout) == TABLE_LAYOUT && head->epoch_ns <= now.ns &&
	       head->flows == sizes.arrays[TABLE_FLOWS].elements &&
	       head->nbuckets == sizes.arrays[TABLE_BUCKETS].elements &&
	       head->nplaces == sizes.arrays[TABLE_PLACES].elements;
}

/* If flows that name an address by its number mean the same by the rules. */
static bool has_same_names(const struct flows *flows, const struct rules *rules)
{
	const uint32_t n = flows->head->nnames;

	return n <= rules->nnames &&
	       (!n || !flows->names ||
	        !memcmp(flows->names, rules->names, n * sizeof(*rules->names)));
}

struct lb *lb_adopt(void *mem, struct table *table, void *scratch, struct farms *farms,
                    const struct mac macs[NSIDES], lb_time now, struct adoption *ret)
{
	const struct table_head *head = table->arrays[TABLE_HEAD].memory;
	const struct hash_key key = {{head->key[0], head->key[1]}};
	const lb_time epoch = {head->epoch_ns};
	struct flows *flows;
	struct lb *lb;

	if (!is_adoptable(table, farms, now))
		return NULL;
	table->keep = true;
	lb = make(mem, table, farms, &key, macs, now);
	lb->balance.epoch = epoch;
	flows = &lb->balance.flows;
	/* halfway between two namings there is nothing to be adopted */
	if (!has_same_names(flows, farms->rules))
		BOTH_WRITE(flows->head->layout, 0);
	adopt_flows(&lb->balance, scratch, now, ret);
	balance_count_clients(&lb->balance, now);
	flows_note_names(flows, farms->rules->names, farms->rules->nnames);
	flows_announce(flows, epoch);
	expire_start_reaping(&lb->balance);
	return lb;
}

void lb_hold(struct lb *lb, unsigned sides)
{
	lb->held = (uint8_t)sides;
}

void lb_set_mac(struct lb *lb, enum side side, const struct mac *mac)
{
	lb->macs[side] = *mac;
}

void lb_set_mtu(struct lb *lb, enum side side, uint32_t mtu)
{
	lb->mtus[side] = mtu;
}

static const struct rules *rules_of(const struct lb *lb)
{
	return lb->balance.farms->rules;
}

static struct screen screen_of(const struct lb *lb)
{
	return (struct screen){.macs = lb->macs,
	                       .farms = lb->balance.farms,
	                       .factors6 = lb->balance.flows.factors6,
	                       .has_stack = rules_has_stack(rules_of(lb)),
	                       .held = lb->held};
}

/* Where a packet that came from the end in ref goes. */
static void route(const struct lb *lb, uint32_t ref, struct verdict *v)
{
	const struct flows *flows = &lb->balance.flows;

	v->flow = flow_of(ref);
	way_of_flow(&v->way, end_of(ref) == CLIENT, flows_at(flows, v->flow)->server,
	            flows_client(flows, v->flow));
}

/* If a packet of no flow here, which arrives in vlan as key says, is another worker's: settles it
 * then. */
static bool is_elsewhere(const struct lb *lb, const struct flow_key *key, const struct ip6 *src6,
                         const struct ip6 *dst6, uint16_t vlan, struct verdict *v)
{
	const struct farms *farms = lb->balance.farms;

	if (farms->share.n == 1)
		return false;
	v->worker = (uint16_t)owner_of(farms, &key->tuple, src6, dst6, vlan);
	if (v->worker == farms->share.worker)
		return false;
	verdict_settle(v, WHY_HANDED_OVER);
	return true;
}

void lb_not_handed_over(struct lb *lb)
{
	lb->whys[WHY_HANDED_OVER]--;
	lb->whys[WHY_NOT_HANDED_OVER]++;
}

/* If it can't go further than here: on a cable there is no such thing. */
static bool is_spent(const struct lb *lb, const struct frame *frame)
{
	return rules_has_stack(rules_of(lb)) && router_is_last(frame);
}

/* If the checksums hold, as far as can be seen: not of a fragment, nor of what a capture has cut.
 */
static bool is_intact(const struct frame *frame, const struct packet *packet)
{
	return packet->is_fragment || frame->len < frame->wire_len ||
	       (parse_ip_checksum_ok(frame, packet) && parse_l4_checksum_ok(frame, packet));
}

/* If the error was sent by the end that should have got the packet, and not by a router. */
static bool is_from_receiver(const struct packet *packet, const struct icmp_error *error)
{
	return error->dst6 ? ip6_eq(packet->src6, error->dst6)
	                   : be32_eq(packet->tuple.src, error->tuple.dst);
}

/* If the error is about what a probe of ours has sent, as far as that can be seen. */
static bool is_probe_error(const struct lb *lb, const struct frame *frame, const struct job *job)
{
	const struct screen screen = screen_of(lb);
	struct packet answer = job->packet;

	answer.tuple = job->key.tuple;
	return rules_is_probe_port(answer.tuple.dport) &&
	       screen_src(&screen, &answer)->kinds & ADDRESS_SERVER &&
	       !screen_is_martian(&screen, frame, &job->packet) && is_intact(frame, &job->packet);
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
static void icmp_error(struct lb *lb, struct frame *frame, const struct job *job, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct flows *flows = &lb->balance.flows;
	const struct screen screen = screen_of(lb);
	uint32_t ref = flows_find(flows, &job->key, job->hash);
	struct rewrite_to quoted, outer = {.src6 = packet->src6};

	if (ref == FLOW_NONE && is_elsewhere(lb, &job->key, job->error.dst6, job->error.src6,
	                                     hop_vlan(&packet->from), v))
		return;
	if (ref == FLOW_NONE && is_probe_error(lb, frame, job))
		return settle_probe_error(frame, job, v);
	if (ref == FLOW_NONE && screen_is_hosts(&screen, packet, &job->key.tuple))
		return verdict_settle(v, WHY_TO_HOST);
	if (is_spent(lb, frame))
		return verdict_settle(v, WHY_ICMP_LIMITED);
	if (ref == FLOW_NONE || !tcp_may_have_sent(flows_at(flows, flow_of(ref)),
	                                           end_other(end_of(ref)), job->error.seq))
		return screen_settle_no_flow(&screen, frame, packet, WHY_ICMP_NO_FLOW, v);
	balance_arrival(&lb->balance, flow_of(ref), end_other(end_of(ref)), &quoted);
	outer.tuple = (struct tuple){.src = packet->tuple.src, .dst = quoted.tuple.src};
	outer.dst6 = quoted.src6;
	if (is_from_receiver(packet, &job->error)) {
		outer.tuple.src = quoted.tuple.dst;
		outer.src6 = quoted.dst6;
	}
	verdict_settle(v, WHY_ICMP_ERROR);
	route(lb, ref, v);
	icmp_translate(frame, packet, &job->error, &outer, &quoted);
}

static void forward(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                    enum lb_why why, struct verdict *v)
{
	struct rewrite_to to;

	verdict_settle(v, why);
	route(lb, ref, v);
	balance_departure(&lb->balance, ref, &to);
	rewrite_tcp(frame, packet, &to);
}

/* A packet of a flow. A damaged one goes on as it is, but nothing follows from it. */
static void hit(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                lb_time now, struct verdict *v)
{
	if (is_spent(lb, frame))
		return router_expired(rules_of(lb), &lb->refuse, frame, packet, now, v);
	if (life_expects(&lb->balance, ref, packet))
		life_goes_on(&lb->balance, ref, packet, frame->wire_len, now);
	else if (is_intact(frame, packet))
		life_packet(&lb->balance, ref, packet, frame->wire_len, now);
	else
		life_count(&lb->balance, ref, frame->wire_len);
	forward(lb, frame, packet, ref, WHY_FLOW_HIT, v);
}

/*
 * If the packet, a SYN, isn't from the VLAN that the live flow's client is in. Where rules tell
 * VLANs apart they are two clients to begin with; where they don't, there can be one only.
 */
static bool is_in_other_vlan(const struct lb *lb, uint32_t ref, const struct packet *packet)
{
	return ref != FLOW_NONE && flow_is_live(flows_at(&lb->balance.flows, flow_of(ref))) &&
	       hop_vlan(flows_client(&lb->balance.flows, flow_of(ref))) != hop_vlan(&packet->from);
}

/*
 * If a packet of this flow goes to its other end. A SYN to one that has ended, or whose server is
 * to have no more, begins another one; where we ended it by RSTs, whoever goes on hasn't heard and
 * gets another.
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

/* Finds the farm and the service that a SYN is for. */
static void seek(const struct lb *lb, struct job *job)
{
	const struct screen screen = screen_of(lb);

	if (job->is_sought)
		return;
	job->is_sought = true;
	job->is_served = farms_service(lb->balance.farms, screen_dst(&screen, &job->packet),
	                               job->packet.tuple.dport, &job->farm, &job->service);
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
		return false;
	}
	verdict_answer(v, why, packet, OWN_TCP); /* for who tells of it */
	v->limit = (uint8_t)why;
	verdict_settle(v, WHY_CLIENT_DROPPED);
	return false;
}

/* A SYN that may begin a flow, as far as the flows there are go. */
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
	why = admit_open(&lb->balance, packet, &job->key, old, job->farm, job->service, now, &ref);
	if (why != WHY_FLOW_NEW)
		return refuse(&lb->refuse, v, why, packet, now);
	if (limited)
		limits_begun(&lb->balance.limits, &asker, now);
	life_take_over(&lb->balance, flow_of(ref), old);
	life_packet(&lb->balance, ref, packet, frame->wire_len, now);
	forward(lb, frame, packet, ref, why, v);
}

/* A SYN that isn't passed on to a live flow; one to old perhaps, which has ended or gives way. */
static void syn(struct lb *lb, struct frame *frame, struct job *job, uint32_t old, lb_time now,
                struct verdict *v)
{
	const struct packet *packet = &job->packet;

	seek(lb, job);
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
	if (is_spent(lb, frame))
		return router_expired(rules_of(lb), &lb->refuse, frame, packet, now, v);
	begin(lb, frame, job, old, now, v);
}

/* The flow that a packet is of which key found as ref: an older one may have been there. */
static uint32_t resolve(struct lb *lb, const struct frame *frame, const struct packet *packet,
                        uint32_t ref, lb_time now)
{
	const struct flow *flow = flows_at(&lb->balance.flows, flow_of(ref));

	if (end_of(ref) == SERVER || flow->state != FLOW_HALF_OPEN ||
	    anew_older(&lb->balance.anew, flow_of(ref)) == FLOW_NONE || !is_intact(frame, packet))
		return ref;
	return life_resolve(&lb->balance, ref, packet, now);
}

/* If the packet, which belongs to no flow, is what a server would send to a probe. */
static bool is_probe_reply(const struct screen *screen, const struct packet *packet)
{
	return rules_is_probe_port(packet->tuple.dport) &&
	       screen_src(screen, packet)->kinds & ADDRESS_SERVER;
}

/* How much of the len bytes from at on the frame has. */
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

/* The rest of the last step: TCP to us that belongs to no flow, or to one that isn't passed on. */
static void balance_unknown(struct lb *lb, struct frame *frame, struct job *job, uint32_t old,
                            bool is_syn, lb_time now, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct screen screen = screen_of(lb);

	if (screen_is_hosts(&screen, packet, &packet->tuple))
		return verdict_settle(v, WHY_TO_HOST);
	if (screen_is_martian(&screen, frame, packet))
		return verdict_settle(v, WHY_MARTIAN);
	if (!is_intact(frame, packet))
		return verdict_settle(v, WHY_BAD_CHECKSUM);
	if (is_syn)
		return syn(lb, frame, job, old, now, v);
	if (is_probe_reply(&screen, packet))
		return settle_probe(v, frame, packet);
	if (packet->tcp_flags & TCP_RST)
		return verdict_settle(v, WHY_RST_NO_FLOW);
	refuse(&lb->refuse, v, WHY_NO_FLOW, packet, now);
}

/* The last step: TCP that may be a flow's. */
static void balance(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                    struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct screen screen = screen_of(lb);
	uint32_t ref = flows_find_guessed(&lb->balance.flows, &job->key, job->hash, job->guess);
	const uint8_t opening = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	bool is_syn = opening == TCP_SYN && (ref == FLOW_NONE || end_of(ref) == CLIENT);

	if (ref == FLOW_NONE &&
	    is_elsewhere(lb, &job->key, packet->src6, packet->dst6, hop_vlan(&packet->from), v))
		return;
	if (ref != FLOW_NONE)
		ref = resolve(lb, frame, packet, ref, now);
	if (ref != FLOW_NONE && is_passed_on(lb, ref, packet, is_syn))
		return hit(lb, frame, packet, ref, now, v);
	if (lb->bypassed && !is_probe_reply(&screen, packet))
		return screen_settle_other(&screen, frame, v);
	if (ref == FLOW_NONE && !(screen_dst(&screen, packet)->kinds & ADDRESS_OURS))
		return screen_settle_other(&screen, frame, v); /* snat = off, not through the VIP */
	balance_unknown(lb, frame, job, ref, is_syn, now, v);
}

/* If the receiver sees another source than the sender's: all but servers with `snat = off`. */
static bool is_source_changed(const struct lb *lb, const struct verdict *v)
{
	return v->way.server == SERVER_NONE ||
	       farms_of_server(lb->balance.farms, v->way.server)->nsnat;
}

/* Counts a fragment that follows, if its flow is still there. */
static void count_fragment(struct lb *lb, const struct frame *frame, const struct frag_route *route)
{
	const uint32_t end = route->way.server == SERVER_NONE ? SERVER : CLIENT;

	if (flows_at(&lb->balance.flows, route->flow)->state != FLOW_FREE &&
	    flows_created_ms(&lb->balance.flows, route->flow) == route->created_ms)
		life_count(&lb->balance, route->flow << 1 | end, frame->wire_len);
}

/* Where v sends the first fragment, which has been rewritten, the others go too. */
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
	if (is_spent(lb, frame))
		return verdict_settle(v, WHY_ICMP_LIMITED);
	verdict_settle(v, WHY_FRAGMENT);
	v->flow = route->flow;
	v->way = route->way;
	count_fragment(lb, frame, route);
	rewrite_frag_id(frame, packet, route->id);
	rewrite_addresses(frame, packet, &to);
}

/* The last step for a fragment. */
static void fragment(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                     struct verdict *v)
{
	const struct screen screen = screen_of(lb);
	const struct frag_route *route;
	uint32_t datagram;

	switch (frags_take(&lb->frags, frame, &job->packet, now, &route, &datagram)) {
	case FRAG_FIRST:
		if (!parse_tcp(frame, &job->packet))
			return screen_settle_no_flow(&screen, frame, &job->packet,
			                             WHY_FRAGMENT_TINY, v);
		screen_key(&job->packet, &job->key);
		job->hash = flows_hash(&lb->balance.flows, &job->key.tuple);
		job->guess = FLOW_NONE;
		balance(lb, frame, job, now, v);
		return decide_fragments(lb, frame, &job->packet, datagram, v);
	case FRAG_ROUTED:
		return follow(lb, frame, &job->packet, route, v);
	case FRAG_WAITS:
		return verdict_settle(v, WHY_FRAGMENT_HELD);
	case FRAG_OVERLAPS:
		return screen_settle_no_flow(&screen, frame, &job->packet, WHY_FRAGMENT_OVERLAP, v);
	case FRAG_TINY:
		return screen_settle_no_flow(&screen, frame, &job->packet, WHY_FRAGMENT_TINY, v);
	case FRAG_NO_ROOM:
		return screen_settle_no_flow(&screen, frame, &job->packet, WHY_FRAGMENT_NO_ROOM, v);
	}
}

bool lb_take_fragment(struct lb *lb, struct frame *ret, struct verdict *ret_verdict)
{
	const struct frag_route *route;
	struct packet packet;

	if (!frags_release(&lb->frags, ret, &route))
		return false;
	parse_frame(ret, &packet);
	parse_ip(ret, &packet); /* as when it came */
	*ret_verdict = (struct verdict){0};
	verdict_begin(ret_verdict, ret);
	follow(lb, ret, &packet, route, ret_verdict);
	if (ret_verdict->act == LB_FORWARD && rules_has_stack(rules_of(lb)))
		router_spend(ret);
	if (ret_verdict->act == LB_HAND_OVER) {
		lb->whys[WHY_FRAGMENT_HELD]--;
		lb->whys[WHY_HANDED_OVER]++;
	}
	return true;
}

/* The last step. */
static void finish(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                   struct verdict *v)
{
	switch (job->rest) {
	case REST_PLAIN:
	case REST_PLAIN_IPV6:
		screen_plain(frame, job, v);
		return balance(lb, frame, job, now, v);
	case REST_TCP:
		return balance(lb, frame, job, now, v);
	case REST_FRAGMENT:
		return fragment(lb, frame, job, now, v);
	case REST_ICMP_ERROR:
		return icmp_error(lb, frame, job, v);
	case REST_NONE:
		if (v->heard)
			v->heard = follow_sighting(&lb->balance, &v->sighting, now);
		break;
	}
}

/* If the flow that the frame may belong to is known by its headers alone. */
static bool has_key(const struct job *job)
{
	return job->rest != REST_NONE && job->rest != REST_FRAGMENT;
}

/* The long or the short way. */
static inline void decide(struct lb *lb, struct frame *frame, struct job *job, uint32_t tick,
                          lb_time now, struct verdict *v)
{
	if (!rest_is_plain(job->rest) || !express(&lb->balance, frame, job, tick, v))
		finish(lb, frame, job, now, v);
}

/* The smaller of both links' MTUs. */
static uint32_t smallest(const struct lb *lb)
{
	const uint32_t *mtus = lb->mtus;

	return mtus[0] && (!mtus[1] || mtus[0] < mtus[1]) ? mtus[0] : mtus[1];
}

/* The same as a router does it. */
__attribute__((noinline)) static void decide_as_router(struct lb *lb, struct frame *frame,
                                                       struct job *job, uint32_t tick, lb_time now,
                                                       struct verdict *v)
{
	const struct rules *rules = rules_of(lb);
	struct router_original original = {0};
	uint32_t mtu;

	if (job->rest == REST_NONE)
		return finish(lb, frame, job, now, v);
	router_keep(frame, smallest(lb), &original);
	if (rest_is_plain(job->rest) && router_is_last(frame))
		finish(lb, frame, job, now, v);
	else
		decide(lb, frame, job, tick, now, v);
	if (v->act != LB_FORWARD || v->why == WHY_FRAGMENT_HELD)
		return;
	mtu = lb->mtus[way_side(&v->way, rules)];
	if (original.len && mtu && original.len > mtu)
		return router_too_big(rules, &lb->refuse, frame, &original, mtu, now, v);
	router_spend(frame);
}

/* If the job is a SYN that will probably make a flow. */
static bool is_opening(const struct job *job)
{
	return job->rest == REST_TCP && job->guess == FLOW_NONE &&
	       (job->packet.tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* Fetches what the next of these jobs that is a SYN, from the i-th on, will need in the index.
 * Returns which it is, or n. */
static unsigned foresee(struct lb *lb, struct job *jobs, unsigned i, unsigned n)
{
	while (i < n && !is_opening(&jobs[i]))
		i++;
	if (i == n)
		return n;
	seek(lb, &jobs[i]);
	if (jobs[i].is_served)
		admit_foresee(&lb->balance, &jobs[i].packet, jobs[i].farm, jobs[i].service);
	return i;
}

static void input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret)
{
	const struct screen screen = screen_of(lb);
	const uint32_t tick = balance_tick(&lb->balance, now);
	struct job jobs[LB_BURST];
	unsigned next; /* SYN */

	for (unsigned i = 0; i < n; i++) {
		jobs[i].is_sought = false;
		jobs[i].rest = screen_frame(&screen, &frames[i], &jobs[i], &ret[i]);
		if (has_key(&jobs[i]))
			jobs[i].hash = flows_hash(&lb->balance.flows, &jobs[i].key.tuple);
	}
	for (unsigned i = 0; i < n; i++)
		if (has_key(&jobs[i]))
			index_prefetch(&lb->balance.flows.index, jobs[i].hash);
	for (unsigned i = 0; i < n; i++)
		if (rest_is_plain(jobs[i].rest) || jobs[i].rest == REST_TCP)
			jobs[i].guess = flows_guess(&lb->balance.flows, jobs[i].hash);
	for (unsigned i = 0; i < n && lb->balance.flows.client6; i++)
		if (jobs[i].rest == REST_PLAIN_IPV6)
			flows_fetch_ip6(&lb->balance.flows, jobs[i].guess);
	next = foresee(lb, jobs, 0, n);
	for (unsigned i = 0; i < n; i++) {
		if (__builtin_expect(screen.has_stack, 0))
			decide_as_router(lb, &frames[i], &jobs[i], tick, now, &ret[i]);
		else
			decide(lb, &frames[i], &jobs[i], tick, now, &ret[i]);
		lb->whys[ret[i].why]++;
		if (i == next)
			next = foresee(lb, jobs, i + 1, n);
	}
}

void lb_input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret)
{
	while (n > 0) {
		unsigned burst = n < LB_BURST ? n : LB_BURST;

		input(lb, frames, burst, now, ret);
		frames += burst;
		ret += burst;
		n -= burst;
	}
}

/* If the frame is a whole TCP segment that may be answered with a reset (RFC 9293, 3.10.7.1). */
static bool is_resettable(const struct screen *screen, const struct frame *frame,
                          struct packet *packet)
{
	parse_frame(frame, packet);
	if (packet->kind != PACKET_IPV4 && packet->kind != PACKET_IPV6)
		return false;
	return parse_ip(frame, packet) && !packet->is_fragment &&
	       packet->protocol == IPPROTO_NUM_TCP && parse_tcp(frame, packet) &&
	       !(packet->tcp_flags & TCP_RST) && parse_l4_checksum_ok(frame, packet) &&
	       !screen_is_martian(screen, frame, packet);
}

/* If the frame, screened, is the host's, a loop, or a server's answer to a probe. */
static bool is_beyond_filters(const struct screen *screen, const struct frame *frame,
                              struct job *job, struct verdict *v)
{
	if (job->rest == REST_NONE)
		return v->why == WHY_TO_HOST || v->why == WHY_OTHER_HOST || v->why == WHY_LOOP;
	if (rest_is_plain(job->rest))
		screen_plain(frame, job, v);
	else if (job->rest != REST_TCP)
		return false;
	return screen_dst(screen, &job->packet)->kinds & ADDRESS_OURS &&
	       is_probe_reply(screen, &job->packet);
}

bool lb_filter(struct lb *lb, struct frame *frame, enum lb_why why, lb_time now,
               struct verdict *ret)
{
	const struct screen screen = screen_of(lb);
	struct packet packet = {0};
	struct job job;

	*ret = (struct verdict){0};
	job.rest = screen_frame(&screen, frame, &job, ret);
	if (is_beyond_filters(&screen, frame, &job, ret))
		return false;
	verdict_begin(ret, frame);
	if (why != WHY_FILTER_RESET)
		verdict_settle(ret, why);
	else if (is_resettable(&screen, frame, &packet))
		refuse(&lb->refuse, ret, why, &packet, now);
	else
		verdict_settle(ret, WHY_FILTERED);
	lb->whys[ret->why]++;
	return true;
}

unsigned lb_poll(struct lb *lb, lb_time now, struct own *ret, unsigned max, bool *ret_more)
{
	struct own_list out = {.items = ret, .max = max};

	frags_expire(&lb->frags, now);
	*ret_more = expire_doomed(&lb->balance, &out); /* before they are forgotten */
	*ret_more |= !expire_due(&lb->balance, now, &out);
	*ret_more |= adopt_reset(&lb->balance, &out);
	*ret_more |= expire_reap(&lb->balance, now, &out);
	*ret_more |= follow_look(&lb->balance, now);
	return out.n;
}

bool lb_end_flow(struct lb *lb, uint32_t flow, lb_time now, struct own_list *out)
{
	return expire_wanted(&lb->balance, flow, now, out);
}

void lb_sighted(struct lb *lb, const struct sighting *sighting, lb_time now)
{
	follow_sighting(&lb->balance, sighting, now);
}

bool lb_probed(struct lb *lb, unsigned server, unsigned check, bool ok, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_report(health, server, check, ok, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

bool lb_agent(struct lb *lb, unsigned server, const struct agent *agent, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_agent(health, server, agent, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

bool lb_force_health(struct lb *lb, unsigned server, enum health_verdict verdict, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_force(health, server, verdict, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		expire_start_reaping(&lb->balance);
	return true;
}

void lb_bypass(struct lb *lb, bool bypass)
{
	lb->bypassed = bypass;
}

bool lb_take_suspect(struct lb *lb, uint16_t *ret)
{
	return observe_take(&lb->balance.farms->observe, ret);
}

size_t lb_ip6_size(const struct lb *lb)
{
	return flows_ip6_size(&lb->balance.flows);
}

void lb_use_ip6(struct lb *lb, void *mem)
{
	flows_use_ip6(&lb->balance.flows, mem);
}

void lb_reload(struct lb *lb, struct farms *farms, const uint16_t *map)
{
	const struct farms *old = lb->balance.farms;

	for (unsigned s = 0; s < farms->rules->nservers; s++)
		farms->health.servers[s].late = true;
	for (unsigned s = 0; s < old->rules->nservers; s++) {
		if (map[s] == SERVER_NONE)
			continue;
		sched_inherit(&farms->sched, map[s], &old->sched, s);
		times_add(&farms->times[map[s]].connect, &old->times[s].connect);
		times_add(&farms->times[map[s]].flow, &old->times[s].flow);
		flow_sum_add(&farms->sums[map[s]], &old->sums[s]);
	}
	for (unsigned s = 0; s < farms->rules->nservers; s++)
		if (farms->rules->servers[s].was)
			health_inherit(&farms->health, s, &old->health,
			               farms->rules->servers[s].was - 1u);
	balance_move(&lb->balance, farms, map);
	flows_note_names(&lb->balance.flows, farms->rules->names, farms->rules->nnames);
	frags_renumber(&lb->frags, map);
	expire_look_again(&lb->balance);
	expire_start_reaping(&lb->balance);
}

bool lb_bury(struct lb *lb, uint32_t *cursor, bool go_on, lb_time now)
{
	return life_bury_all(&lb->balance, cursor, go_on, now);
}

bool lb_take_ended(struct lb *lb, struct ended *ret)
{
	return ended_take(&lb->balance.ended, ret);
}

bool lb_is_busy(const struct lb *lb)
{
	return balance_open_flows(&lb->balance) || balance_quarantined(&lb->balance) ||
	       lb->balance.reap_left || lb->balance.follow_left;
}

const struct frags *lb_frags(const struct lb *lb)
{
	return &lb->frags;
}

const uint64_t *lb_whys(const struct lb *lb)
{
	return lb->whys;
}

const struct balance *lb_balance(const struct lb *lb)
{
	return &lb->balance;
}
