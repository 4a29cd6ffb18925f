/*
 * The way of a burst: ports -> lb_input() -> layer 2 -> ports.
 *
 * Frames leave in the order in which they came, and before the next burst is received: the
 * receiving port's buffers are sent from. A frame that was decided to go to a server may still have
 * to wait for the server's MAC address (neigh.c).
 *
 * What the engine or a probe wants to say is described in struct own, made by own.c, and goes the
 * same way out.
 */
#include "worker.h"

#include "../port/l2.h"
#include "../process/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	WORKER_OWN_BURST = 256,  /* RSTs of one tick: they don't stall the wire */
	WORKER_WAYS_A_TICK = 64, /* servers whose place the fast path is told */
};

/* Takes the memory for IPv6 flows if these rules are the first ones that have any. */
static int take_ip6(const struct worker *worker, const struct rules *rules, struct memory *ret)
{
	*ret = (struct memory){0};
	if (!rules->nnames || worker->ip6_memory.at || worker->has_ip6)
		return 0;
	return memory_take(ret, lb_ip6_size(worker->lb));
}

static void use_ip6(struct worker *worker, struct memory *memory)
{
	if (!memory->at)
		return;
	worker->ip6_memory = *memory;
	*memory = (struct memory){0};
	lb_use_ip6(worker->lb, worker->ip6_memory.at);
}

/* Takes over the flows in table, if there are any that can be. Where servers are is known then. */
static int adopt(struct worker *worker, struct table *table, const struct mac macs[NSIDES],
                 lb_time now)
{
	const struct table_array *buckets = &table->arrays[TABLE_BUCKETS];
	struct memory scratch;
	struct hop hop;
	int err = memory_take(&scratch, buckets->elements * buckets->element_bytes);

	if (err < 0)
		return err;
	worker->lb = lb_adopt(worker->memory.at, table, scratch.at, worker->setup.farms, macs, now,
	                      &worker->adoption);
	memory_free(&scratch);
	for (unsigned s = 0; worker->lb && s < worker->setup.rules->nservers; s++)
		if (fastpath_way(worker->fastpath, s, &hop))
			neigh_recall(worker->setup.neigh, s, &hop);
	return 0;
}

/* Makes the engine, its arrays with the fast path if there is one. */
static int take_engine(struct worker *worker, const struct rules *rules,
                       const struct mac macs[NSIDES], lb_time now)
{
	struct table table;
	size_t bytes = lb_size(rules, &worker->share);
	int err;

	if (worker->fastpath) {
		bytes = lb_table_sizes(rules, &worker->share, &table);
		fastpath_table(worker->fastpath, worker->share.worker, &table);
		worker->has_ip6 = table.arrays[TABLE_CLIENT6].memory;
	}
	if ((err = memory_take(&worker->memory, bytes)) < 0)
		return err;
	if (fastpath_inherits(worker->fastpath) && (err = adopt(worker, &table, macs, now)) < 0)
		return err;
	if (!worker->lb)
		worker->lb = lb_init_shared(worker->memory.at, worker->fastpath ? &table : NULL,
		                            worker->setup.farms, &worker->key, macs, now);
	return 0;
}

int worker_init(struct worker *worker, const struct rules *rules, const struct share *share,
                struct inbox **inboxes, const struct hash_key *key,
                struct port *const ports[NSIDES], struct fastpath *fastpath, lb_time now)
{
	const struct mac macs[NSIDES] = {ports[OUTSIDE]->mac, ports[INSIDE]->mac};
	int err;

	*worker = (struct worker){.ports = {ports[OUTSIDE], ports[INSIDE]},
	                          .share = *share,
	                          .inboxes = inboxes,
	                          .fastpath = fastpath,
	                          .key = *key};
	if ((err = voice_open(&worker->voice, worker->ports)) < 0 ||
	    (err = setup_init(&worker->setup, rules, share, key, now)) < 0)
		return err;
	if ((err = take_engine(worker, rules, macs, now)) == 0)
		err = take_ip6(worker, rules, &worker->setup.ip6);
	if (!err)
		use_ip6(worker, &worker->setup.ip6);
	return err;
}

void worker_log_ended(struct worker *worker)
{
	struct ended ended;

	while (lb_take_ended(worker->lb, &ended))
		connlog_put(worker->connlog, worker->queue, worker->setup.rules, &ended);
}

void worker_log_to(struct worker *worker, struct connlog *connlog, unsigned queue)
{
	worker->connlog = connlog;
	worker->queue = queue;
}

void worker_free(struct worker *worker)
{
	voice_close(&worker->voice);
	memory_free(&worker->memory);
	memory_free(&worker->ip6_memory);
	setup_free(&worker->setup);
}

static void forward(struct worker *worker, struct frame *frame, const struct hop *hop, lb_time now)
{
	struct port *port = worker->ports[hop->side];

	l2_redirect(frame, hop, &port->mac);
	port_queue(port, frame, now);
}

/* If the client says again what the server of a flow, that isn't open yet, ought to have answered.
 */
static bool is_unanswered(const struct worker *worker, const struct verdict *v)
{
	return v->why == WHY_FLOW_HIT &&
	       flows_at(&lb_balance(worker->lb)->flows, v->flow)->state == FLOW_HALF_OPEN;
}

static void forward_to_server(struct worker *worker, const struct verdict *v, struct frame *frame,
                              lb_time now)
{
	const struct hop *hop = neigh_find(worker->setup.neigh, v->way.server, now);

	if (!hop) {
		neigh_wait(worker->setup.neigh, v->way.server, frame);
		return;
	}
	forward(worker, frame, hop, now);
	if (is_unanswered(worker, v))
		neigh_doubt(worker->setup.neigh, v->way.server, now);
}

/* What needs no request: a server that isn't known where it is hears nothing. */
static void speak_all(struct worker *worker, struct own_list *list, lb_time now)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct own *own = &list->items[i];
		const struct hop *hop = &own->to;

		if (own->server != SERVER_NONE)
			hop = neigh_find(worker->setup.neigh, own->server, now);
		if (!hop)
			continue;
		own->to = *hop;
		voice_say(&worker->voice, own, NULL, now);
	}
	list->n = 0;
	voice_flush(&worker->voice, now);
}

static void release_waiting(struct worker *worker, lb_time now)
{
	const struct hop *hop;
	struct frame frame;

	while (neigh_next_ready(worker->setup.neigh, &frame, &hop))
		forward(worker, &frame, hop, now);
}

/* To all other workers. What finds no room is lost: probes and sightings go on and on. */
static void spread(struct worker *worker, const struct news *news)
{
	for (unsigned k = 0; worker->inboxes && k < worker->share.n; k++)
		if (k != worker->share.worker && !inbox_put_news(worker->inboxes[k], news))
			worker->news_lost++;
}

/* A failure for which our own dead cable is reason enough says nothing of the server. */
static bool says_something(const struct worker *worker, const struct probe_result *result)
{
	const struct hop *place = neigh_known(worker->setup.neigh, result->server);

	return result->ok || carrier_was_there(&worker->carrier, place, result->began);
}

static void note_fault(struct worker *worker, const struct probe_result *result)
{
	struct server_faults *faults = &worker->setup.faults[result->server];

	faults->last = result->fault;
	faults->n[result->fault.kind]++;
}

/* What an agent has said counts until it says something else, also when it doesn't answer. */
static void tell_agent(struct worker *worker, struct probe_result *result, lb_time now)
{
	const struct health_server before = worker->setup.farms->health.servers[result->server];
	struct news news = {.kind = NEWS_AGENT, .server = result->server, .agent = before.agent};

	events_agent(&worker->setup.events, worker->setup.rules, result);
	if (!result->ok)
		return;
	agent_take(&news.agent, result->heard, result->nheard);
	if (agent_eq(&news.agent, &before.agent))
		return;
	result->fault.kind = FAULT_AGENT;
	if (news.agent.down && !before.agent.down)
		note_fault(worker, result);
	if (lb_agent(worker->lb, result->server, &news.agent, now))
		events_verdict(&worker->setup.events, worker->setup.farms, result,
		               (enum health_verdict)before.verdict, now.ns - before.since.ns);
	else
		events_farm(&worker->setup.events, worker->setup.farms,
		            worker->setup.rules->servers[result->server].farm);
	spread(worker, &news);
}

static void tell(struct worker *worker, struct probe_result *result, lb_time now)
{
	const struct news news = {.kind = NEWS_PROBED,
	                          .server = result->server,
	                          .check = result->check,
	                          .ok = result->ok};
	const struct health_server before = worker->setup.farms->health.servers[result->server];

	if (!says_something(worker, result))
		return;
	if (probe_is_agent(worker->setup.rules, result->server, result->check))
		return tell_agent(worker, result, now);
	if (!result->ok)
		note_fault(worker, result);
	if (lb_probed(worker->lb, result->server, result->check, result->ok, now))
		events_verdict(&worker->setup.events, worker->setup.farms, result,
		               (enum health_verdict)before.verdict, now.ns - before.since.ns);
	events_kept(&worker->setup.events, worker->setup.farms,
	            worker->setup.rules->servers[result->server].farm);
	probes_told(worker->setup.probes, result, now);
	spread(worker, &news);
}

static void poll_probes(struct worker *worker, lb_time now)
{
	struct own items[WORKER_OWN_BURST];
	struct own_list out = {.items = items, .max = WORKER_OWN_BURST};
	struct probe_result result;

	while (probes_poll(worker->setup.probes, now, &out, &result))
		tell(worker, &result, now);
	speak_all(worker, &out, now);
}

static void probe_reply(struct worker *worker, const struct probe_reply *reply,
                        const struct frame *frame, lb_time now)
{
	struct own items[PROBES_OUT_MAX];
	struct own_list out = {.items = items, .max = PROBES_OUT_MAX};
	struct probe_result result;

	if (probes_reply(worker->setup.probes, reply, frame, now, &out, &result))
		tell(worker, &result, now);
	speak_all(worker, &out, now);
}

/* Servers whose place is known, or another one, since: what waited for that goes on. */
static void take_found(struct worker *worker, lb_time now)
{
	struct news news = {.kind = NEWS_PLACED};
	struct neigh_event event;
	unsigned server;
	bool any = false;

	while (neigh_next_event(worker->setup.neigh, &event))
		events_neighbour(&worker->setup.events, worker->setup.rules, worker->ports, &event,
		                 now);
	while (neigh_next_found(worker->setup.neigh, &server)) {
		any = true;
		probes_found(worker->setup.probes, server, now);
		news.sighting = neigh_place(worker->setup.neigh, server);
		if (!worker->share.worker)
			spread(worker, &news);
		if (!worker->share.worker && worker->fastpath)
			fastpath_set_way(worker->fastpath, worker->setup.rules, server,
			                 &news.sighting.hop);
	}
	if (!any)
		return;
	release_waiting(worker, now);
	poll_probes(worker, now);
}

/* Notes where a server is said to be; so does the first worker, who decides upon it. */
static void learn(struct worker *worker, const struct sighting *sighting, lb_time now)
{
	const struct news news = {.kind = NEWS_SIGHTED, .sighting = *sighting};

	if (!neigh_sighted(worker->setup.neigh, sighting, now))
		return;
	take_found(worker, now);
	if (worker->share.worker && !inbox_put_news(worker->inboxes[0], &news))
		worker->news_lost++;
}

static void ask_one(struct worker *worker, const struct neigh_question *question,
                    const struct hop *to, lb_time now)
{
	voice_ask(&worker->voice, worker->setup.rules, question->sender, question->target, to, now);
}

static void ask_all(struct worker *worker, const struct neigh_question *question, lb_time now)
{
	for (unsigned side = NSIDES; side-- > 0;) {
		const struct hop all = way_everybody((enum side)side, question->vlan);

		if (question->sides >> side & 1)
			ask_one(worker, question, &all, now);
	}
}

static void ask(struct worker *worker, lb_time now)
{
	struct neigh_question question;

	while (neigh_next_question(worker->setup.neigh, now, &question)) {
		if (question.is_direct)
			ask_one(worker, &question, &question.to, now);
		else
			ask_all(worker, &question, now);
		voice_flush(&worker->voice, now);
	}
	take_found(worker, now); /* who hasn't answered may be elsewhere now */
}

/* Says again whose the address is: on both sides, as such frames cross like all others. */
static void defend(struct worker *worker, const struct sighting *claim, lb_time now)
{
	uint16_t vlan = hop_vlan(&claim->hop);

	if (vlan == VLAN_OTHER || !defence_may(&worker->defence, claim->ip, vlan, now))
		return;
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct hop everybody = way_everybody((enum side)side, vlan);

		if (!way_is_ours(worker->setup.rules, claim->ip, (enum side)side))
			continue;

		voice_announce(&worker->voice, worker->setup.rules, claim->ip, &everybody, now);
	}
}

static void note_sighting(struct worker *worker, const struct verdict *v, lb_time now)
{
	const struct news heard = {.kind = NEWS_HEARD, .sighting = v->sighting};

	if (v->conflict) {
		worker->conflicts++;
		defend(worker, &v->sighting, now);
		events_conflict(&worker->setup.events, worker->setup.rules,
		                worker->ports[v->sighting.hop.side]->name, &v->sighting, now);
	}
	if (v->sighted)
		learn(worker, &v->sighting, now);
	if (v->heard)
		spread(worker, &heard);
}

static void dispatch(struct worker *worker, struct frame *frame, const struct verdict *v,
                     lb_time now)
{
	switch ((enum lb_act)v->act) {
	case LB_BRIDGE:
		if (worker->fastpath && fastpath_has_crossed(worker->fastpath, frame))
			break;
		port_queue(worker->ports[v->way.side], frame, now);
		break;
	case LB_FORWARD:
		if (v->why == WHY_FRAGMENT_HELD)
			break;
		if (v->way.server == SERVER_NONE)
			forward(worker, frame, &v->way.hop, now);
		else
			forward_to_server(worker, v, frame, now);
		break;
	case LB_ANSWER:
		voice_say(&worker->voice, &v->own, frame, now);
		events_refused(&worker->setup.events, worker->setup.farms, v, now);
		break;
	case LB_DROP:
		if (v->why == WHY_CLIENT_DROPPED)
			events_refused(&worker->setup.events, worker->setup.farms, v, now);
		if (v->why == WHY_PROBE)
			probe_reply(worker, &v->probe, frame, now);
		break;
	case LB_HAND_OVER:
		if (!inbox_put_frame(worker->inboxes[v->worker], frame))
			lb_not_handed_over(worker->lb);
		break;
	}
	if (v->sighted || v->heard || v->conflict)
		note_sighting(worker, v, now);
}

/* By which side the frame of that verdict has been sent; -1: by none, or not yet. */
static int sent_by(const struct worker *worker, const struct verdict *v)
{
	const struct hop *hop = &v->way.hop;

	if (v->act == LB_BRIDGE)
		return v->way.side;
	if (v->act != LB_FORWARD || v->why == WHY_FRAGMENT_HELD)
		return -1;
	if (v->way.server != SERVER_NONE)
		hop = neigh_known(worker->setup.neigh, v->way.server);
	return hop ? hop->side : -1;
}

/* The i-th of a burst; the same, and says so to who watches. */
static void dispatch_watched(struct worker *worker, struct frame *frame, const struct verdict *v,
                             unsigned i, lb_time now)
{
	const struct flows *flows = &lb_balance(worker->lb)->flows;
	/* a fragment that waits for its first one has none */
	const bool has_flow = v->act == LB_FORWARD && v->flow != FLOW_NONE;

	dispatch(worker, frame, v, now);
	if (worker->tap)
		tap_after(worker->tap, i, frame, v,
		          has_flow ? flows_at(flows, v->flow)->server : SERVER_NONE,
		          sent_by(worker, v), now);
}

/* Frames that no filter has anything against, or that have been through them elsewhere. */
static void decide(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	struct verdict verdicts[PORT_BURST];
	struct frame frame;

	if (worker->tap)
		tap_before(worker->tap, frames, n);
	lb_input(worker->lb, frames, n, now, verdicts);
	for (unsigned i = 0; i < n; i++)
		dispatch_watched(worker, &frames[i], &verdicts[i], i, now);
	while (lb_take_fragment(worker->lb, &frame, &verdicts[0])) {
		dispatch(worker, &frame, &verdicts[0], now);
		voice_flush(&worker->voice, now);
	}
	ask(worker, now);
	voice_flush(&worker->voice, now);
	worker_log_ended(worker);
}

/* A frame that a filter has something against. */
static void turn_away(struct worker *worker, struct frame *frame, const struct verdict *v,
                      lb_time now)
{
	if (worker->tap)
		tap_before(worker->tap, frame, 1);
	dispatch_watched(worker, frame, v, 0, now);
}

/* Deals with the frames that filters have something against; returns how many are left. */
static unsigned filter(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	struct verdict verdict;
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		if (firewall_lets(worker->setup.firewall, worker->lb,
		                  worker->ports[frames[i].side]->name, &frames[i], now, &verdict))
			frames[left++] = frames[i];
		else
			turn_away(worker, &frames[i], &verdict, now);
	return left;
}

void worker_burst(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	if (__builtin_expect(worker->setup.firewall != NULL, 0))
		n = filter(worker, frames, n, now);
	decide(worker, frames, n, now);
}

void worker_take_news(struct worker *worker, lb_time now)
{
	struct news news;

	while (inbox_take_news(worker->inboxes[worker->share.worker], &news)) {
		if (news.kind == NEWS_PROBED)
			lb_probed(worker->lb, news.server, news.check, news.ok, now);
		else if (news.kind == NEWS_SUSPECT)
			probes_hurry(worker->setup.probes, news.server, now);
		else if (news.kind == NEWS_AGENT)
			lb_agent(worker->lb, news.server, &news.agent, now);
		else if (news.kind == NEWS_SIGHTED)
			learn(worker, &news.sighting, now);
		else if (news.kind == NEWS_HEARD)
			lb_sighted(worker->lb, &news.sighting, now);
		else
			neigh_placed(worker->setup.neigh, &news.sighting, now);
	}
	take_found(worker, now);
	voice_flush(&worker->voice, now);
}

bool worker_take_inbox(struct worker *worker, lb_time now)
{
	struct frame frames[PORT_BURST];
	unsigned n;

	if (!worker->inboxes)
		return false;
	worker_take_news(worker, now);
	n = inbox_take_frames(worker->inboxes[worker->share.worker], frames);
	if (n)
		decide(worker, frames, n, now);
	return n;
}

static void announce(struct worker *worker, lb_time now)
{
	enum side side;
	uint16_t vlan;
	be32 ip;

	while (announcer_next(&worker->announcer, &worker->setup.farms->addresses, now, &side, &ip,
	                      &vlan)) {
		const struct hop everybody = way_everybody(side, vlan);

		if (name_is_ipv6(ip))
			voice_join(&worker->voice, worker->setup.rules, ip, &everybody, now);
		if (!announcer_only_joins(&worker->announcer))
			voice_announce(&worker->voice, worker->setup.rules, ip, &everybody, now);
		voice_flush(&worker->voice, now);
	}
}

/* One server's way, and sees to it that it is asked for if only the fast path uses it. */
static void publish(struct worker *worker, unsigned server, lb_time now)
{
	if (fastpath_used_way(worker->fastpath, server))
		neigh_find(worker->setup.neigh, server, now);
	fastpath_set_way(worker->fastpath, worker->setup.rules, server,
	                 neigh_known(worker->setup.neigh, server));
}

/* Some of them, so that in a while all have had their turn. */
static void publish_some(struct worker *worker, lb_time now)
{
	const unsigned n = worker->setup.rules->nservers;

	if (!worker->fastpath || worker->share.worker || !n)
		return;
	fastpath_beat(worker->fastpath, now);
	for (unsigned i = 0; i < n && i < WORKER_WAYS_A_TICK; i++) {
		worker->next_way = worker->next_way + 1 < n ? worker->next_way + 1 : 0;
		publish(worker, worker->next_way, now);
	}
}

void worker_publish(struct worker *worker)
{
	for (unsigned s = 0; worker->fastpath && s < RULES_SERVERS_KEPT_MAX; s++)
		fastpath_set_way(worker->fastpath, worker->setup.rules, s,
		                 s < worker->setup.rules->nservers
		                         ? neigh_known(worker->setup.neigh, s)
		                         : NULL);
}

/* Servers that don't answer clients are probed at once, by the first worker. */
static void take_suspects(struct worker *worker, lb_time now)
{
	struct news news = {.kind = NEWS_SUSPECT};

	while (lb_take_suspect(worker->lb, &news.server)) {
		events_suspect(&worker->setup.events, worker->setup.rules, news.server, now);
		if (!worker->share.worker)
			probes_hurry(worker->setup.probes, news.server, now);
		else if (!inbox_put_news(worker->inboxes[0], &news))
			worker->news_lost++;
	}
}

void worker_tick(struct worker *worker, lb_time now)
{
	struct own items[WORKER_OWN_BURST];
	struct own_list out = {.items = items, .max = WORKER_OWN_BURST};

	out.n = lb_poll(worker->lb, now, items, WORKER_OWN_BURST, &worker->more);
	speak_all(worker, &out, now);
	take_suspects(worker, now);
	if (now.ns >= probes_due(worker->setup.probes).ns)
		poll_probes(worker, now);
	announce(worker, now);
	publish_some(worker, now);
	ask(worker, now);
	worker_log_ended(worker);
}

bool worker_end_flow(struct worker *worker, uint32_t flow, lb_time now)
{
	struct own items[EXPIRE_RESETS_MAX];
	struct own_list out = {.items = items, .max = EXPIRE_RESETS_MAX};

	if (!lb_end_flow(worker->lb, flow, now, &out))
		return false;
	speak_all(worker, &out, now);
	worker_log_ended(worker);
	return true;
}

void worker_finish(struct worker *worker, bool go_on, lb_time now)
{
	uint32_t cursor = 0;
	bool more;

	do {
		more = lb_bury(worker->lb, &cursor, go_on, now);
		worker_log_ended(worker);
		connlog_drain(worker->connlog, worker->queue);
	} while (more);
}

static lb_time earlier(lb_time a, lb_time b)
{
	return a.ns < b.ns ? a : b;
}

lb_time worker_due(const struct worker *worker)
{
	lb_time due = probes_due(worker->setup.probes);

	if (worker->more)
		return (lb_time){0};
	due = earlier(due, announcer_due(&worker->announcer));
	return earlier(due, neigh_due(worker->setup.neigh));
}

void worker_announce(struct worker *worker, unsigned sides, lb_time now)
{
	if (!worker->share.worker)
		announcer_begin(&worker->announcer, worker->setup.rules, sides, now);
}

void worker_hold(struct worker *worker, unsigned sides)
{
	lb_hold(worker->lb, sides);
	worker->voice.held = (uint8_t)sides;
}

void worker_set_mac(struct worker *worker, enum side side, const struct mac *mac)
{
	if (!(way_ports(worker->setup.rules) >> side & 1))
		return;
	worker->ports[side]->mac = *mac;
	lb_set_mac(worker->lb, side, mac);
}

void worker_set_mtu(struct worker *worker, enum side side, uint32_t mtu)
{
	lb_set_mtu(worker->lb, side, mtu);
}

void worker_start(struct worker *worker, lb_time now)
{
	worker_announce(worker, ANNOUNCER_BOTH, now);
	announce(worker, now);
	poll_probes(worker, now);
	ask(worker, now);
}

int worker_prepare(const struct worker *worker, const struct rules *rules, lb_time now,
                   struct setup *ret)
{
	int err = setup_init(ret, rules, &worker->share, &worker->key, now);

	if (!err && (err = take_ip6(worker, rules, &ret->ip6)) < 0)
		setup_free(ret);
	return err;
}

static void inherit_faults(const struct setup *setup, const struct setup *old, const uint16_t *map)
{
	for (unsigned s = 0; s < old->rules->nservers; s++)
		if (map[s] != SERVER_NONE)
			setup->faults[map[s]] = old->faults[s];
}

void worker_move(struct worker *worker, struct setup *setup, const uint16_t *map, lb_time now)
{
	const struct setup old = worker->setup;

	use_ip6(worker, &setup->ip6);
	neigh_inherit(setup->neigh, old.neigh);
	probes_inherit(setup->probes, old.probes);
	inherit_faults(setup, &old, map);
	lb_reload(worker->lb, setup->farms, map);
	worker->setup = *setup;
	*setup = old;
	events_inherit(&worker->setup.events, &old.events);
	firewall_inherit(worker->setup.firewall, old.firewall);
	for (unsigned f = 0; f < worker->setup.rules->nfarms; f++)
		events_note_farm(&worker->setup.events, worker->setup.farms, f);
	worker_announce(worker, ANNOUNCER_BOTH, now);
	poll_probes(worker, now);
}
