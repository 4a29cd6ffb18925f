/*
 * What a worker does when it is due, and what control has it do.
 */
#include "duties.h"

#include "barring.h"
#include "checks.h"
#include "places.h"

enum {
	DUTIES_OWN_BURST = 256,  /* RSTs of one tick: they don't stall the wire */
	DUTIES_WAYS_A_TICK = 64, /* servers whose places are written into the fast path's maps */
};

static enum own_mld kind_of_join(const struct worker *worker, enum side side, lb_time now)
{
	return listener_is_old(&worker->listener, side, now) ? OWN_MLD_OLD : OWN_MLD_CHANGE;
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
			voice_join(&worker->voice, kind_of_join(worker, side, now),
			           worker->setup.rules, ip, &everybody, now);
		if (!announcer_only_joins(&worker->announcer))
			voice_announce(&worker->voice, worker->setup.rules, ip, &everybody, now);
		voice_flush(&worker->voice, now);
	}
}

/* Answers those who have asked what we listen to. */
static void report(struct worker *worker, lb_time now)
{
	struct listener_report next;

	while (listener_next(&worker->listener, &worker->setup.farms->addresses, now, &next)) {
		const struct hop everybody = way_everybody((enum side)next.side, next.vlan);

		voice_join(&worker->voice, next.is_old ? OWN_MLD_OLD : OWN_MLD_ANSWER,
		           worker->setup.rules, next.ip, &everybody, now);
		voice_flush(&worker->voice, now);
	}
}

/* Writes one server's way into the fast path's maps; and has the server asked for if only the fast
 * path sends to it. */
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

	if (!worker->fastpath || worker->share.worker)
		return;
	fastpath_beat(worker->fastpath, now);
	for (unsigned i = 0; i < n && i < DUTIES_WAYS_A_TICK; i++) {
		worker->next_way = worker->next_way + 1 < n ? worker->next_way + 1 : 0;
		publish(worker, worker->next_way, now);
	}
}

void duties_tick(struct worker *worker, lb_time now)
{
	struct own items[DUTIES_OWN_BURST];
	struct own_list out = {.items = items, .max = DUTIES_OWN_BURST};

	out.n = lb_poll(worker->lb, now, items, DUTIES_OWN_BURST, &worker->more);
	voice_say_all(&worker->voice, worker->setup.neigh, &out, now);
	checks_suspects(worker, now);
	if (now.ns >= probes_due(worker->setup.probes).ns)
		checks_poll(worker, now);
	announce(worker, now);
	places_defend(worker, now);
	report(worker, now);
	publish_some(worker, now);
	if (!worker->share.worker)
		firewall_log(worker->setup.firewall, worker->fastpath, worker->ports, now);
	places_ask(worker, now);
	barring_count(worker, now);
	worker_log_ended(worker);
}

bool duties_end_flow(struct worker *worker, uint32_t flow, lb_time now)
{
	struct own items[EXPIRE_RESETS_MAX];
	struct own_list out = {.items = items, .max = EXPIRE_RESETS_MAX};

	if (!lb_end_flow(worker->lb, flow, now, &out))
		return false;
	voice_say_all(&worker->voice, worker->setup.neigh, &out, now);
	worker_log_ended(worker);
	return true;
}

static lb_time earlier(lb_time a, lb_time b)
{
	return a.ns < b.ns ? a : b;
}

lb_time duties_due(const struct worker *worker)
{
	lb_time due = earlier(announcer_due(&worker->announcer), listener_due(&worker->listener));

	if (worker->more)
		return (lb_time){0};
	if (worker_is_held(worker))
		return due;
	due = earlier(due, probes_due(worker->setup.probes));
	return earlier(due, neigh_due(worker->setup.neigh));
}

void duties_start(struct worker *worker, lb_time now)
{
	worker_announce(worker, ANNOUNCER_BOTH, now);
	announce(worker, now);
	checks_poll(worker, now);
	places_ask(worker, now);
}
