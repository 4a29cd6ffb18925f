/*
 * The way of a burst: ports -> lb_input() -> layer 2 -> ports.
 *
 * Frames leave in the order in which they came, and before the next burst is received: the
 * receiving port's buffers are sent from. A frame that was decided to go to a server may still have
 * to wait for the server's MAC address (neigh.c).
 *
 * Frames of our own, which the engine or a probe describes in a struct own, are made by maker.c and
 * go the same way out.
 */
#include "burst.h"

#include "checks.h"
#include "news.h"
#include "places.h"

/* If the client repeats a packet of a flow that isn't open yet, which its server should have
 * answered. */
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
	places_forward(worker, frame, hop, now);
	if (is_unanswered(worker, v))
		neigh_doubt(worker->setup.neigh, v->way.server, now);
}

/* RFC 2464, 7. */
static bool is_multicast6(const struct frame *frame)
{
	return frame->len >= 2 && frame->data[0] == 0x33 && frame->data[1] == 0x33;
}

/* Notes a query for both sides of a cable, as it has crossed. */
static void note_query(struct worker *worker, const struct listener_query *query, lb_time now)
{
	struct listener_query one = *query;

	for (unsigned side = 0; side < NSIDES; side++) {
		one.side = (uint8_t)side;
		if (side == query->side || !rules_has_stack(worker->setup.rules))
			listener_note(&worker->listener, &one, now);
	}
}

/* If the frame is a query of multicast listeners, notes it or sends it to the first worker, which
 * answers. */
static void hear_query(struct worker *worker, const struct frame *frame, lb_time now)
{
	struct news news = {.kind = NEWS_QUERIED};

	if (!listener_hear(frame, &news.query))
		return;
	if (worker->share.worker)
		news_to_first(worker, &news);
	else
		note_query(worker, &news.query, now);
}

/* Hands a frame over to the worker that it belongs to; drops it if that one has no room. */
static void hand_over(struct worker *worker, const struct frame *frame, struct verdict *v)
{
	if (inbox_put_frame(worker->inboxes[v->worker], frame))
		return;
	lb_not_handed_over(worker->lb);
	verdict_settle(v, WHY_NOT_HANDED_OVER);
}

static void dispatch(struct worker *worker, struct frame *frame, struct verdict *v, lb_time now)
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
			places_forward(worker, frame, &v->way.hop, now);
		else
			forward_to_server(worker, v, frame, now);
		break;
	case LB_ANSWER:
		voice_say(&worker->voice, &v->own, frame, now);
		events_refused(&worker->setup.events, worker->setup.farms, v, now);
		break;
	case LB_DROP:
		if (lb_why_refuses(v->why))
			events_refused(&worker->setup.events, worker->setup.farms, v, now);
		if (v->why == WHY_PROBE)
			checks_reply(worker, &v->probe, frame, now);
		break;
	case LB_HAND_OVER:
		hand_over(worker, frame, v);
		break;
	}
	if (is_multicast6(frame))
		hear_query(worker, frame, now);
	if (v->sighted || v->heard || v->conflict)
		places_note(worker, v, now);
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

/* Sends the i-th frame of a burst as its verdict says, and notes that in the tap. */
static void dispatch_watched(struct worker *worker, struct frame *frame, struct verdict *v,
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

/* Decides upon frames that have passed the filters, here or at another worker. */
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
		if (worker->tap && sent_by(worker, &verdicts[0]) >= 0)
			tap_sent(worker->tap, &frame, (unsigned)sent_by(worker, &verdicts[0]),
			         "had waited for its first fragment", now);
		voice_flush(&worker->voice, now);
	}
	places_ask(worker, now);
	voice_flush(&worker->voice, now);
	worker_log_ended(worker);
}

/* Drops or resets a frame, as a filter wants. */
static void turn_away(struct worker *worker, struct frame *frame, struct verdict *v, lb_time now)
{
	if (worker->tap)
		tap_before(worker->tap, frame, 1);
	dispatch_watched(worker, frame, v, 0, now);
}

/* Drops or resets the frames that filters don't let pass; returns how many are left. */
static unsigned filter(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	const bool is_kernels = fastpath_filters(worker->fastpath);
	struct firewall *firewall = worker->setup.firewall;
	struct verdict verdict;
	unsigned left = 0;

	for (unsigned i = 0; i < n; i++)
		if (is_kernels ? !firewall_resets(firewall, worker->lb, &frames[i], now, &verdict)
		               : firewall_lets(firewall, worker->lb,
		                               worker->ports[frames[i].side]->name, &frames[i], now,
		                               &verdict))
			frames[left++] = frames[i];
		else
			turn_away(worker, &frames[i], &verdict, now);
	return left;
}

void burst_decide(struct worker *worker, struct frame *frames, unsigned n, lb_time now)
{
	if (__builtin_expect(worker->setup.firewall != NULL, 0))
		n = filter(worker, frames, n, now);
	decide(worker, frames, n, now);
}

void burst_take_news(struct worker *worker, lb_time now)
{
	struct news news;

	while (inbox_take_news(worker->inboxes[worker->share.worker], &news)) {
		if (news.kind == NEWS_PROBED)
			lb_probed(worker->lb, news.server, news.check, news.ok, now);
		else if (news.kind == NEWS_SUSPECT)
			probes_hurry(worker->setup.probes, news.server, now);
		else if (news.kind == NEWS_AGENT)
			lb_agent(worker->lb, news.server, &news.agent, now);
		else if (news.kind == NEWS_QUERIED)
			note_query(worker, &news.query, now);
		else if (news.kind == NEWS_SIGHTED)
			places_learn(worker, &news.sighting, now);
		else if (news.kind == NEWS_HEARD)
			lb_sighted(worker->lb, &news.sighting, now);
		else
			neigh_placed(worker->setup.neigh, &news.sighting, now);
	}
	places_found(worker, now);
	voice_flush(&worker->voice, now);
}

bool burst_take_inbox(struct worker *worker, lb_time now)
{
	struct frame frames[PORT_BURST];
	unsigned n;

	if (!worker->inboxes)
		return false;
	burst_take_news(worker, now);
	n = inbox_take_frames(worker->inboxes[worker->share.worker], frames);
	if (n)
		decide(worker, frames, n, now);
	return n;
}
