/*
 * What follows when a server's place becomes known or changes, for frames that wait, other workers,
 * probes and the fast path; and when somebody claims an address of ours. Where a server is the
 * first worker decides (neigh.h).
 */
#include "places.h"

#include "checks.h"
#include "news.h"
#include "../port/l2.h"

void places_forward(struct worker *worker, struct frame *frame, const struct hop *hop, lb_time now)
{
	struct port *port = worker->ports[hop->side];

	l2_redirect(frame, hop, &port->mac);
	port_queue(port, frame, now);
}

static void release_waiting(struct worker *worker, lb_time now)
{
	const struct hop *hop;
	struct frame frame;

	while (neigh_next_ready(worker->setup.neigh, &frame, &hop)) {
		l2_redirect(&frame, hop, &worker->ports[hop->side]->mac);
		if (worker->tap)
			tap_sent(worker->tap, &frame, hop->side, "had waited for its server", now);
		port_queue(worker->ports[hop->side], &frame, now);
	}
}

void places_found(struct worker *worker, lb_time now)
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
		lb_place_server(worker->lb, server, &news.sighting.hop);
		if (!worker->share.worker)
			news_spread(worker, &news);
		if (!worker->share.worker && worker->fastpath)
			fastpath_set_way(worker->fastpath, worker->setup.rules, server,
			                 &news.sighting.hop);
	}
	if (!any)
		return;
	release_waiting(worker, now);
	checks_poll(worker, now);
}

/* If the MAC address is our own: a server can't be there, whoever claims it, and what we sent there
 * would get lost. */
static bool is_ours(const struct worker *worker, const struct mac *mac)
{
	return mac_eq(mac, &worker->ports[OUTSIDE]->mac) ||
	       mac_eq(mac, &worker->ports[INSIDE]->mac);
}

void places_learn(struct worker *worker, const struct sighting *sighting, lb_time now)
{
	const struct news news = {.kind = NEWS_SIGHTED, .sighting = *sighting};

	if (is_ours(worker, &sighting->hop.mac) ||
	    !neigh_sighted(worker->setup.neigh, sighting, now))
		return;
	places_found(worker, now);
	if (worker->share.worker)
		news_to_first(worker, &news);
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

void places_ask(struct worker *worker, lb_time now)
{
	struct neigh_question question;

	if (worker_is_held(worker))
		return;
	while (neigh_next_question(worker->setup.neigh, now, &question)) {
		if (question.is_direct)
			ask_one(worker, &question, &question.to, now);
		else
			ask_all(worker, &question, now);
		voice_flush(&worker->voice, now);
	}
	places_found(worker, now); /* a server that hasn't answered may have been found elsewhere */
}

/* Announces the address again, on both sides, as such claims cross the wire like other frames. */
static void announce(struct worker *worker, be32 ip, uint16_t vlan, lb_time now)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct hop everybody = way_everybody((enum side)side, vlan);

		if (way_is_ours(worker->setup.rules, ip, (enum side)side))
			voice_announce(&worker->voice, worker->setup.rules, ip, &everybody, now);
	}
}

static void defend(struct worker *worker, const struct sighting *claim, lb_time now)
{
	uint16_t vlan = hop_vlan(&claim->hop);

	if (vlan != VLAN_OTHER && defence_may(&worker->defence, claim->ip, vlan, now))
		announce(worker, claim->ip, vlan, now);
}

void places_defend(struct worker *worker, lb_time now)
{
	uint16_t vlan;
	be32 ip;

	while (defence_next(&worker->defence, now, &ip, &vlan)) {
		announce(worker, ip, vlan, now);
		voice_flush(&worker->voice, now);
	}
}

void places_note(struct worker *worker, const struct verdict *v, lb_time now)
{
	const struct news heard = {.kind = NEWS_HEARD, .sighting = v->sighting};

	if (v->conflict) {
		worker->conflicts++;
		defend(worker, &v->sighting, now);
		events_conflict(&worker->setup.events, worker->setup.rules,
		                worker->ports[v->sighting.hop.side]->name, &v->sighting, now);
	}
	if (v->sighted)
		places_learn(worker, &v->sighting, now);
	if (v->heard)
		news_spread(worker, &heard);
}
