/*
 * The engine.
 *
 * A burst goes through in three steps, so that memory is fetched while other frames are worked on:
 * screen() reads each frame and settles all that no flow is needed for; the flows of the rest are
 * prefetched; finish() then takes them one by one, in order, so that how frames fall into bursts
 * makes no difference. A step decides by a ladder of early returns, each with its reason.
 *
 * Frames are only touched from layer 3 upwards. Nothing is sent from here: an answer is described
 * in the verdict, and bridge/ makes it.
 */
#include "lb.h"

#include "frag.h"
#include "icmp.h"
#include "parse.h"
#include "rewrite.h"
#include "tcp.h"
#include "wire.h"

enum {
	LB_BURST = 32, /* frames that go through the steps together */
	/* RSTs to packets without a flow or service: enough for clients, too few for a reflector */
	LB_RST_PER_S = 1000,
	LB_RST_BURST = 1000,
};

#define LB_RST_COST (LB_NS_PER_S / LB_RST_PER_S)

struct lb {
	struct mac macs[NSIDES];
	struct balance balance;
	struct frags frags;
	uint64_t whys[LB_NWHYS];
	lb_time rst_paid; /* token bucket: up to when RSTs are paid for */
};

/* What is left to do for a frame once it has been screened: what depends on flows. */
enum rest { REST_NONE, REST_TCP, REST_FRAGMENT, REST_ICMP_ERROR };

/* A frame on its way through the steps. */
struct job {
	struct packet packet;
	struct icmp_error error; /* REST_ICMP_ERROR */
	uint64_t hash;           /* of the tuple with which its flow is looked up */
	enum rest rest;
};

size_t lb_size(const struct rules *rules)
{
	static const struct hash_key no_key;
	struct arena arena = {0};
	struct balance balance;
	struct frags frags;

	arena_take(&arena, 1, sizeof(struct lb));
	balance_lay_out(&balance, &arena, rules, no_key, (lb_time){0});
	frags_lay_out(&frags, &arena);
	return arena.used;
}

struct lb *lb_init(void *mem, struct farms *farms, const struct hash_key *key,
                   const struct mac macs[NSIDES], lb_time now)
{
	struct arena arena = {.base = mem};
	struct lb *lb = arena_take(&arena, 1, sizeof(*lb));

	*lb = (struct lb){.macs = {macs[OUTSIDE], macs[INSIDE]}};
	balance_lay_out(&lb->balance, &arena, farms->rules, *key, now);
	lb->balance.farms = farms;
	frags_lay_out(&lb->frags, &arena);
	lb->rst_paid.ns = now.ns - LB_RST_COST * LB_RST_BURST; /* the bucket begins full */
	return lb;
}

static const struct address *find_address(const struct lb *lb, be32 ip)
{
	return addresses_find(&lb->balance.farms->addresses, ip);
}

static bool is_own_mac(const struct lb *lb, const uint8_t *p)
{
	return !memcmp(p, &lb->macs[OUTSIDE], sizeof(lb->macs[0])) ||
	       !memcmp(p, &lb->macs[INSIDE], sizeof(lb->macs[0]));
}

static void settle(struct verdict *v, enum lb_why why)
{
	v->why = (uint8_t)why;
	v->act = (uint8_t)lb_why_act(why);
}

/* An answer goes back to where the packet came from. */
static void settle_answer(struct verdict *v, enum lb_why why, const struct packet *packet,
                          enum own_kind kind)
{
	settle(v, why);
	v->side = packet->from.side;
	v->own = (struct own){
	        .kind = (uint8_t)kind,
	        .server = SERVER_NONE,
	        .to = packet->from,
	        .tuple = tuple_reverse(packet->tuple),
	};
}

/* If no host can have sent the packet, or nobody may answer it (RFC 1122, 3.2.1.3 and 4.2.3.10). */
static bool is_martian(const struct lb *lb, const struct frame *frame, const struct packet *packet)
{
	const uint32_t src = be32_get(packet->tuple.src);

	return frame->data[ETH_DST] & 1 || mac_is_group(&packet->from.mac) || src >> 24 == 0 ||
	       src >> 24 == 127 || src >> 28 >= 0xe ||
	       find_address(lb, packet->tuple.src)->kinds & ADDRESS_OURS;
}

static void screen_arp(const struct lb *lb, const struct packet *packet, struct verdict *v)
{
	uint8_t sender = find_address(lb, packet->tuple.src)->kinds;
	uint8_t target = find_address(lb, packet->tuple.dst)->kinds;

	v->sighted = sender & ADDRESS_SERVER;
	v->conflict = sender & ADDRESS_OURS;
	v->sighting.ip = packet->tuple.src;
	v->sighting.hop = packet->from;
	v->sighting.hop.mac = packet->arp_sender;
	if (!(target & ADDRESS_OURS))
		return;
	if (mac_is_group(&packet->arp_sender)) {
		settle(v, WHY_MARTIAN);
	} else if (packet->arp_oper == ARP_REQUEST) {
		settle_answer(v, WHY_ARP_REPLY, packet, OWN_ARP_REPLY);
		v->own.to.mac = packet->arp_sender;
	} else if (v->conflict) {
		settle(v, WHY_ARP_CONFLICT);
	} else {
		settle(v, packet->arp_oper == ARP_REPLY ? WHY_ARP_LEARNED : WHY_ARP_OTHER);
	}
}

static void screen_echo(const struct lb *lb, const struct frame *frame, const struct packet *packet,
                        struct verdict *v)
{
	unsigned farm = find_address(lb, packet->tuple.dst)->farm;

	if (!parse_l4_checksum_ok(frame, packet))
		return settle(v, WHY_BAD_CHECKSUM);
	if (is_martian(lb, frame, packet))
		return settle(v, WHY_MARTIAN);
	if (!sched_is_up(&lb->balance.farms->sched, farm))
		return settle(v, WHY_ECHO_NO_SERVER);
	settle_answer(v, WHY_ECHO_REPLY, packet, OWN_ECHO_REPLY);
	v->own.l4 = packet->l4;
	v->own.l4_len = packet->l4_len;
}

/* A frame that isn't for us. */
static void screen_other(const struct lb *lb, const struct frame *frame, struct verdict *v)
{
	bool to_host = frame->len >= ETH_HEADER_BYTES && is_own_mac(lb, frame->data + ETH_DST);

	settle(v, to_host ? WHY_TO_HOST : WHY_NOT_OURS);
}

/* What belongs to no flow is dropped for that reason if it is addressed to us; else it crosses. */
static void settle_no_flow(const struct lb *lb, const struct frame *frame,
                           const struct packet *packet, enum lb_why why, struct verdict *v)
{
	if (find_address(lb, packet->tuple.dst)->kinds & ADDRESS_OURS)
		settle(v, why);
	else
		screen_other(lb, frame, v);
}

/* Where a packet that came from the end in ref goes. */
static void route(const struct lb *lb, uint32_t ref, struct verdict *v)
{
	v->flow = flow_of(ref);
	if (end_of(ref) == CLIENT) {
		v->server = lb->balance.flows.flow[flow_of(ref)].server;
	} else {
		v->hop = lb->balance.flows.cold[flow_of(ref)].client;
		v->side = v->hop.side;
	}
}

/*
 * An error about a packet that we sent to an end is for the other end, which sent it to us. If that
 * end itself sent the error, and not a router, it appears to come from where the other end thinks
 * the first one is.
 */
static void icmp_error(struct lb *lb, struct frame *frame, const struct job *job, struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const struct icmp_error *error = &job->error;
	const struct tuple arrived = tuple_reverse(error->tuple);
	const struct flows *flows = &lb->balance.flows;
	uint32_t ref = flows_find(flows, &arrived, job->hash);
	const struct flow *flow;
	struct tuple quoted;
	be32 src = packet->tuple.src;

	if (ref == FLOW_NONE ||
	    !tcp_may_have_sent(&flows->flow[flow_of(ref)], end_other(end_of(ref)), error->seq))
		return settle_no_flow(lb, frame, packet, WHY_ICMP_NO_FLOW, v);
	flow = &flows->flow[flow_of(ref)];
	quoted = flow->arrive[end_other(end_of(ref))];
	if (be32_eq(src, arrived.src))
		src = quoted.dst;
	settle(v, WHY_ICMP_ERROR);
	route(lb, ref, v);
	icmp_translate(frame, packet, error, src, quoted.src, &quoted);
}

static enum rest screen_icmp(const struct lb *lb, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	const struct packet *packet = &job->packet;
	const uint8_t *icmp = frame->data + packet->l4;

	if (packet->l4_len < ICMP_HEADER_BYTES ||
	    frame->len < (uint32_t)packet->l4 + packet->l4_len)
		settle(v, WHY_ICMP_OTHER);
	else if (icmp[ICMP_TYPE] == ICMP_ECHO && icmp[ICMP_CODE] == 0)
		screen_echo(lb, frame, packet, v);
	else if (icmp_parse_error(frame, packet, &job->error))
		return REST_ICMP_ERROR;
	else
		settle(v, WHY_ICMP_OTHER);
	return REST_NONE;
}

/* A packet to a VIP or SNAT address. */
static enum rest screen_ours(const struct lb *lb, struct frame *frame, struct job *job,
                             struct verdict *v)
{
	struct packet *packet = &job->packet;

	if (!parse_ipv4(frame, packet))
		return settle(v, WHY_IP_MALFORMED), REST_NONE;
	if (packet->is_fragment && packet->protocol != IPPROTO_NUM_TCP)
		return settle(v, WHY_FRAGMENT_OTHER), REST_NONE;
	if (packet->protocol == IPPROTO_NUM_ICMP)
		return screen_icmp(lb, frame, job, v);
	if (packet->protocol != IPPROTO_NUM_TCP)
		return settle(v, WHY_PROTOCOL_NOT_SERVED), REST_NONE;
	if (packet->is_fragment)
		return REST_FRAGMENT;
	if (!parse_tcp(frame, packet))
		return settle(v, WHY_TCP_MALFORMED), REST_NONE;
	return REST_TCP;
}

/*
 * A packet that isn't addressed to us, but with `snat = off` may still be of a flow: TCP of a
 * server, or an ICMP error, addressed to the client, about a packet to one.
 */
static enum rest screen_no_snat(const struct lb *lb, const struct frame *frame, struct job *job)
{
	struct packet *packet = &job->packet;

	if (!parse_ipv4(frame, packet))
		return REST_NONE;
	if (packet->protocol == IPPROTO_NUM_TCP &&
	    find_address(lb, packet->tuple.src)->kinds & ADDRESS_NO_SNAT) {
		if (packet->is_fragment)
			return REST_FRAGMENT;
		return parse_tcp(frame, packet) ? REST_TCP : REST_NONE;
	}
	if (packet->protocol == IPPROTO_NUM_ICMP && !packet->is_fragment &&
	    icmp_parse_error(frame, packet, &job->error) &&
	    find_address(lb, job->error.tuple.dst)->kinds & ADDRESS_NO_SNAT)
		return REST_ICMP_ERROR;
	return REST_NONE;
}

/* The first step. */
static enum rest screen(const struct lb *lb, struct frame *frame, struct job *job,
                        struct verdict *v)
{
	struct packet *packet = &job->packet;
	enum rest rest;

	parse_frame(frame, packet);
	v->side = (uint8_t)side_other(frame->side);
	v->server = SERVER_NONE;
	v->flow = FLOW_NONE;
	v->hop = (struct hop){0};
	v->sighted = v->conflict = false;
	if (frame->len >= ETH_HEADER_BYTES && is_own_mac(lb, frame->data + ETH_SRC))
		return settle(v, WHY_LOOP), REST_NONE;
	if (packet->kind == PACKET_IPV4) {
		if (find_address(lb, packet->tuple.dst)->kinds & ADDRESS_OURS)
			return screen_ours(lb, frame, job, v);
		if (lb->balance.farms->addresses.any_no_snat &&
		    (rest = screen_no_snat(lb, frame, job)) != REST_NONE)
			return rest;
	}
	screen_other(lb, frame, v);
	if (packet->kind == PACKET_ARP)
		screen_arp(lb, packet, v);
	return REST_NONE;
}

/* An answer that resets the sender: RFC 9293, 3.10.7.1. */
static void settle_rst(struct verdict *v, enum lb_why why, const struct packet *packet)
{
	settle_answer(v, why, packet, OWN_TCP);
	v->own.tcp_flags = TCP_RST;
	if (packet->tcp_flags & TCP_ACK) {
		v->own.seq = packet->ack;
	} else {
		v->own.tcp_flags |= TCP_ACK;
		v->own.ack = packet->seq + packet->seq_len;
	}
}

/* Takes a token for a RST: the bucket's level is the time since rst_paid. */
static bool rst_allowed(struct lb *lb, lb_time now)
{
	if (now.ns - lb->rst_paid.ns > LB_RST_COST * LB_RST_BURST)
		lb->rst_paid.ns = now.ns - LB_RST_COST * LB_RST_BURST;
	if (now.ns - lb->rst_paid.ns < LB_RST_COST)
		return false;
	lb->rst_paid.ns += LB_RST_COST;
	return true;
}

static void settle_limited_rst(struct lb *lb, struct verdict *v, enum lb_why why,
                               const struct packet *packet, lb_time now)
{
	if (rst_allowed(lb, now))
		settle_rst(v, why, packet);
	else
		settle(v, WHY_RST_LIMITED);
}

static void forward(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                    enum lb_why why, struct verdict *v)
{
	const struct flow *flow = &lb->balance.flows.flow[flow_of(ref)];
	const struct tuple to = tuple_reverse(flow->arrive[end_other(end_of(ref))]);

	settle(v, why);
	route(lb, ref, v);
	rewrite_tcp(frame, packet, &to);
}

static void hit(struct lb *lb, struct frame *frame, const struct packet *packet, uint32_t ref,
                enum lb_why why, lb_time now, struct verdict *v)
{
	balance_packet(&lb->balance, ref, packet, frame->wire_len, now);
	forward(lb, frame, packet, ref, why, v);
}

/* A SYN that belongs to no live flow. */
static void syn(struct lb *lb, struct frame *frame, const struct packet *packet, lb_time now,
                struct verdict *v)
{
	const struct address *address = find_address(lb, packet->tuple.dst);
	const struct rules_farm *farm = &lb->balance.farms->rules->farms[address->farm];
	int service =
	        address->kinds & ADDRESS_VIP ? balance_service(farm, packet->tuple.dport) : -1;
	enum lb_why why;
	uint32_t ref;

	if (!packet->is_fragment && frame->len == frame->wire_len &&
	    !parse_l4_checksum_ok(frame, packet))
		return settle(v, WHY_BAD_CHECKSUM);
	if (service < 0)
		return settle_limited_rst(lb, v, WHY_PORT_NOT_SERVED, packet, now);
	why = balance_open(&lb->balance, packet, address->farm, (unsigned)service, now, &ref);
	v->farm = address->farm;
	if (why != WHY_FLOW_NEW)
		return settle_rst(v, why, packet);
	hit(lb, frame, packet, ref, why, now, v);
}

/*
 * If a packet of this flow goes to its other end. A SYN to one that has ended begins another one;
 * where we ended it by RSTs, whoever goes on hasn't heard and gets another.
 */
static bool is_passed_on(const struct flow *flow, bool is_syn)
{
	return flow_is_live(flow) || !(is_syn || flow->flags & FLOW_RESET_BY_US);
}

/* If the packet, which belongs to no flow, is what a server would send to a probe. */
static bool is_probe_reply(const struct lb *lb, const struct packet *packet)
{
	uint16_t port = be16_get(packet->tuple.dport);

	return port >= SNAT_PROBE_PORT && port < SNAT_PROBE_PORT + SNAT_PROBE_PORTS &&
	       find_address(lb, packet->tuple.src)->kinds & ADDRESS_SERVER;
}

static void settle_probe(struct verdict *v, const struct packet *packet)
{
	settle(v, WHY_PROBE);
	v->probe = (struct probe_reply){
	        .tuple = packet->tuple,
	        .seq = packet->seq,
	        .ack = packet->ack,
	        .seq_len = packet->seq_len,
	        .tcp_flags = packet->tcp_flags,
	};
}

/* The rest of the last step: TCP to us that belongs to no flow, or to one that isn't passed on. */
static void balance_unknown(struct lb *lb, struct frame *frame, const struct packet *packet,
                            bool is_syn, lb_time now, struct verdict *v)
{
	if (is_martian(lb, frame, packet))
		return settle(v, WHY_MARTIAN);
	if (is_syn)
		return syn(lb, frame, packet, now, v);
	if (is_probe_reply(lb, packet))
		return settle_probe(v, packet);
	if (packet->tcp_flags & TCP_RST)
		return settle(v, WHY_RST_NO_FLOW);
	settle_limited_rst(lb, v, WHY_NO_FLOW, packet, now);
}

/* The last step: TCP that may be a flow's. */
static void balance(struct lb *lb, struct frame *frame, const struct job *job, lb_time now,
                    struct verdict *v)
{
	const struct packet *packet = &job->packet;
	uint32_t ref = flows_find(&lb->balance.flows, &packet->tuple, job->hash);
	const uint8_t opening = packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
	bool is_syn = opening == TCP_SYN && (ref == FLOW_NONE || end_of(ref) == CLIENT);

	if (ref == FLOW_NONE && !(find_address(lb, packet->tuple.dst)->kinds & ADDRESS_OURS))
		return screen_other(lb, frame, v); /* snat = off, but not through the VIP */
	if (ref != FLOW_NONE && is_passed_on(&lb->balance.flows.flow[flow_of(ref)], is_syn))
		return hit(lb, frame, packet, ref, WHY_FLOW_HIT, now, v);
	balance_unknown(lb, frame, packet, is_syn, now, v);
}

/* Where v sends the first fragment, the others go too. */
static void decide_fragments(struct lb *lb, const struct frame *frame, const struct packet *packet,
                             uint32_t datagram, const struct verdict *v)
{
	const uint8_t *ip = frame->data + packet->l3;
	const struct frag_route route = {
	        .src = be32_load(ip + IPV4_SRC),
	        .dst = be32_load(ip + IPV4_DST),
	        .server = v->server,
	        .hop = v->hop,
	        .flow = v->act == LB_FORWARD ? v->flow : FLOW_NONE,
	};

	if (v->act == LB_FORWARD || v->act == LB_BRIDGE)
		frags_decide(&lb->frags, datagram, &route);
}

static void follow(struct frame *frame, const struct packet *packet, const struct frag_route *route,
                   struct verdict *v)
{
	if (route->flow == FLOW_NONE)
		return settle(v, WHY_NOT_OURS);
	settle(v, WHY_FRAGMENT);
	v->flow = route->flow;
	v->server = route->server;
	v->hop = route->hop;
	if (v->server == SERVER_NONE)
		v->side = route->hop.side;
	rewrite_addresses(frame, packet, route->src, route->dst);
}

/* The last step for a fragment. */
static void fragment(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                     struct verdict *v)
{
	const struct frag_route *route;
	uint32_t datagram;

	switch (frags_take(&lb->frags, frame, &job->packet, now, &route, &datagram)) {
	case FRAG_FIRST:
		if (!parse_tcp(frame, &job->packet))
			return settle_no_flow(lb, frame, &job->packet, WHY_FRAGMENT_TINY, v);
		job->hash = tuple_hash(&lb->balance.flows.key, &job->packet.tuple);
		balance(lb, frame, job, now, v);
		return decide_fragments(lb, frame, &job->packet, datagram, v);
	case FRAG_ROUTED:
		return follow(frame, &job->packet, route, v);
	case FRAG_WAITS:
		return settle(v, WHY_FRAGMENT_HELD);
	case FRAG_OVERLAPS:
		return settle_no_flow(lb, frame, &job->packet, WHY_FRAGMENT_OVERLAP, v);
	case FRAG_TINY:
		return settle_no_flow(lb, frame, &job->packet, WHY_FRAGMENT_TINY, v);
	case FRAG_NO_ROOM:
		return settle_no_flow(lb, frame, &job->packet, WHY_FRAGMENT_NO_ROOM, v);
	}
}

bool lb_take_fragment(struct lb *lb, struct frame *ret, struct verdict *ret_verdict)
{
	const struct frag_route *route;
	struct packet packet;

	if (!frags_release(&lb->frags, ret, &route))
		return false;
	parse_frame(ret, &packet);
	*ret_verdict = (struct verdict){.side = (uint8_t)side_other(ret->side)};
	follow(ret, &packet, route, ret_verdict);
	return true;
}

/* The second step: the hash of the tuple that the flow is looked up with. */
static void prepare(const struct lb *lb, struct job *job)
{
	struct tuple arrived = job->packet.tuple;

	if (job->rest != REST_TCP && job->rest != REST_ICMP_ERROR)
		return;
	if (job->rest == REST_ICMP_ERROR)
		arrived = tuple_reverse(job->error.tuple);
	job->hash = tuple_hash(&lb->balance.flows.key, &arrived);
	index_prefetch(&lb->balance.flows.index, job->hash);
}

static void finish(struct lb *lb, struct frame *frame, struct job *job, lb_time now,
                   struct verdict *v)
{
	switch (job->rest) {
	case REST_TCP:
		return balance(lb, frame, job, now, v);
	case REST_FRAGMENT:
		return fragment(lb, frame, job, now, v);
	case REST_ICMP_ERROR:
		return icmp_error(lb, frame, job, v);
	case REST_NONE:
		break;
	}
}

static void input(struct lb *lb, struct frame *frames, unsigned n, lb_time now, struct verdict *ret)
{
	struct job jobs[LB_BURST];

	for (unsigned i = 0; i < n; i++) {
		jobs[i].rest = screen(lb, &frames[i], &jobs[i], &ret[i]);
		prepare(lb, &jobs[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (jobs[i].rest == REST_TCP)
			flows_prefetch(&lb->balance.flows, jobs[i].hash);
	for (unsigned i = 0; i < n; i++) {
		finish(lb, &frames[i], &jobs[i], now, &ret[i]);
		lb->whys[ret[i].why]++;
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

unsigned lb_poll(struct lb *lb, lb_time now, struct own *ret, unsigned max, bool *ret_more)
{
	struct own_list out = {.items = ret, .max = max};

	frags_expire(&lb->frags, now);
	balance_expire(&lb->balance, now, &out);
	*ret_more = balance_reap(&lb->balance, now, &out);
	return out.n;
}

bool lb_probed(struct lb *lb, unsigned server, unsigned check, bool ok, lb_time now)
{
	struct health *health = &lb->balance.farms->health;

	if (!health_report(health, server, check, ok, now))
		return false;
	if (health_of(health, server) == HEALTH_DOWN)
		balance_start_reaping(&lb->balance);
	return true;
}

void lb_reload(struct lb *lb, struct farms *farms, const uint16_t *map)
{
	const struct farms *old = lb->balance.farms;

	for (unsigned s = 0; s < farms->rules->nservers; s++)
		farms->health.servers[s].late = true;
	for (unsigned s = 0; s < old->rules->nservers; s++) {
		if (map[s] == SERVER_NONE)
			continue;
		health_inherit(&farms->health, map[s], &old->health, s);
		sched_inherit(&farms->sched, map[s], &old->sched, s);
	}
	balance_move(&lb->balance, farms, map);
	frags_renumber(&lb->frags, map);
	balance_start_reaping(&lb->balance);
}

bool lb_take_ended(struct lb *lb, struct ended *ret)
{
	return ended_take(&lb->balance.ended, ret);
}

bool lb_is_busy(const struct lb *lb)
{
	return balance_open_flows(&lb->balance) || balance_quarantined(&lb->balance) ||
	       lb->balance.reap_left;
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
