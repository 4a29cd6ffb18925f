/*
 * What follows for ports and programs in the kernel when an interface goes, comes back
 * or changes; and when the rules change.
 */
#include "follow.h"

#include "addresses.h"
#include "cable/host.h"
#include "process/clock.h"
#include "process/log.h"
#include "remains.h"

#include <errno.h>
#include <string.h>

/* When to have the workers stand still again, after one of them has not, for what has changed. */
enum { FOLLOW_AGAIN_S = 3 };

/* How often the host's addresses and routes are looked at, where they concern us. */
#define FOLLOW_HOST_NS (3 * LB_NS_PER_S)

/* Where the ports of a side receive, and where they send. */
struct packet_where follow_where(const struct live *live, enum side side)
{
	const struct link *link = &cable_state(live->cable, side)->link;
	bool punted = fastpath_is_active(live->fastpath);

	return (struct packet_where){.receive = punted ? fastpath_punt(live->fastpath, side) : link,
	                             .send = link};
}

/* Opens all ports of a side anew; the workers must stand still. */
static int reopen(struct live *live, enum side side)
{
	const struct packet_where where = follow_where(live, side);
	int err = 0;

	for (unsigned k = 0; k < live->crew.n && !err; k++)
		err = packet_reopen(live->crew.ports[k][side], &where);
	return err;
}

int follow_guard(struct live *live, enum side side)
{
	int err = guard_attach(live->guard, side, &cable_state(live->cable, side)->link);

	if (err < 0)
		log_error("%s: attaching a program: %s", live->options->names[side],
		          strerror(-err));
	return err;
}

static int ask_routes(const struct live *live, struct rules *rules, bool gone)
{
	int indices[NSIDES], err;

	cable_indices(live->cable, indices);
	err = host_routes(cable_socket(live->cable), indices, rules, gone);
	if (err < 0)
		log_error("the host's routes: %s", strerror(-err));
	return err;
}

int follow_loaded(void *ctx, struct rules *rules)
{
	return ask_routes(ctx, rules, false);
}

int follow_taken_over(void *ctx, struct rules *rules)
{
	return ask_routes(ctx, rules, true);
}

bool follow_host(struct live *live)
{
	const struct rules *rules = live->crew.workers.rules;
	const lb_time now = clock_now();
	int indices[NSIDES];

	if (!rules_has_stack(rules) || now.ns < live->host_look.ns)
		return false;
	live->host_look.ns = now.ns + FOLLOW_HOST_NS;
	cable_indices(live->cable, indices);
	return !host_is_as(cable_socket(live->cable), indices, rules);
}

bool follow_filters(struct live *live, const struct rules *rules, bool wanted)
{
	const int err =
	        wanted ? fastpath_use_filters(live->fastpath, rules, clock_now()) : -ECANCELED;

	if (!err)
		return true;
	fastpath_forgo_filters(live->fastpath, rules);
	if (wanted)
		log_warning("filters are the process's, and packet sockets carry all: %s",
		            strerror(-err));
	return false;
}

/* Turns the fast path on or off, as rules want it, and as far as they fit it. */
static void follow_fastpath(struct live *live, const struct rules *rules)
{
	bool active = live->fastpath && fastpath_is_wanted(rules);

	live->keep = rules->on_exit == ON_EXIT_KEEP;
	if (active && fastpath_set_rules(live->fastpath, rules) < 0) {
		log_warning("the rules are too many for the fast path: packet sockets again");
		active = false;
	}
	if (live->fastpath)
		active = follow_filters(live, rules, active);
	if (!live->fastpath && fastpath_is_wanted(rules) && !live->is_refused)
		log_warning("%s: [bridge] fast_path: stays off until a restart",
		            live->options->config);
	if (active == fastpath_is_active(live->fastpath))
		return;
	fastpath_activate(live->fastpath, active);
	for (unsigned side = 0; side < NSIDES; side++)
		if (reopen(live, (enum side)side) < 0)
			cable_retry(live->cable, (enum side)side, clock_now());
	log_info("fast path %s", active ? "on" : "off");
}

/* The workers must stand still. */
static void follow(struct live *live, enum side side, const struct cable_change *change,
                   lb_time now)
{
	const struct cable_state *is = cable_state(live->cable, side);
	int err = change->anew ? reopen(live, side) : 0;

	if (change->anew && !err && live->fastpath)
		err = fastpath_attach(live->fastpath, side, is);
	if (change->anew && !err && live->guard)
		err = follow_guard(live, side);
	for (unsigned k = 0; k < live->crew.n; k++) {
		if (change->mtu && !change->anew)
			packet_set_mtu(live->crew.ports[k][side],
			               &is->link); /* else frames of the new length would be lost */
		worker_set_mac(&live->crew.workers.worker[k], side, &is->link.mac);
		worker_set_mtu(&live->crew.workers.worker[k], side, is->link.mtu);
	}
	if (change->anew && !err)
		err = crew_share_out(&live->crew, live->crew.workers.rules,
		                     &live->crew.workers.worker[0].share);
	if (!err)
		return;
	/* sockets that don't share yet would each get every frame */
	for (unsigned k = 0; live->crew.n > 1 && k < live->crew.n; k++)
		packet_mute(live->crew.ports[k][side]);
	if (err != -ENODEV) /* -ENODEV: the interface is gone again, which cable_poll() will log */
		log_error("%s: %s", live->options->names[side], strerror(-err));
	cable_retry(live->cable, side, now);
}

void follow_note_left(struct live *live, enum side side)
{
	const struct settings_left left = cable_left(live->cable, side);

	fastpath_note_left(live->fastpath, side, &left);
}

int follow_check_new(void *ctx, const struct rules *rules, const struct rules *before)
{
	struct live *live = ctx;

	if (live->fastpath)
		fastpath_prepare_filters(live->fastpath, rules); /* follow_filters() says if not */
	return addresses_check_new(live, rules, before);
}

void follow_built(void *ctx, const struct rules *rules)
{
	struct live *live = ctx;

	/* if the rules don't fit follow_rules() logs it */
	if (live->guard)
		guard_prepare_rules(live->guard, rules);
	if (live->fastpath && fastpath_is_wanted(rules))
		fastpath_prepare_rules(live->fastpath, rules);
}

void follow_rules(void *ctx, const struct rules *rules)
{
	struct live *live = ctx;

	if (live->guard)
		remains_note(live, rules);
	if (live->guard && guard_set_rules(live->guard, rules) < 0)
		log_error("the rules are too many for what keeps their packets from the host");
	if (rules_has_stack(rules))
		cable_route(live->cable, rules->routing);
	follow_fastpath(live, rules);
	addresses_follow_rules(live);
}

/* changes is NULL at the start. The first worker has all probes. */
void follow_carriers(struct live *live, const struct cable_change *changes, lb_time now)
{
	struct carrier *carrier = &live->crew.workers.worker[0].carrier;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct cable_state *is = cable_state(live->cable, (enum side)side);

		if (changes && (changes[side].anew || changes[side].announce))
			carrier_note(carrier, (enum side)side, false, now);
		carrier_note(carrier, (enum side)side, is->state == LINK_UP, now);
	}
}

/* Adds what has changed now to what is still to be followed; says if anything is. */
static bool note_changes(struct live *live, const struct cable_change *heard)
{
	bool any = false;

	for (unsigned side = 0; side < NSIDES; side++) {
		struct cable_change *all = &live->changes[side];

		all->anew |= heard[side].anew;
		all->mac |= heard[side].mac;
		all->mtu |= heard[side].mtu;
		all->announce |= heard[side].announce;
		any |= all->anew || all->mac || all->mtu || all->announce;
	}
	return any;
}

/* Has the ports follow what has changed, for which the workers stand still. If one doesn't move all
 * of that is kept for a later time. */
static void follow_changes(struct live *live, lb_time now)
{
	const struct cable_change *changes = live->changes;
	const unsigned announced = (unsigned)changes[OUTSIDE].announce << OUTSIDE |
	                           (unsigned)changes[INSIDE].announce << INSIDE;

	if (now.ns < live->retry_changes.ns)
		return;
	if (crew_pause(&live->crew)) {
		live->retry_changes.ns = now.ns + FOLLOW_AGAIN_S * LB_NS_PER_S;
		return;
	}
	for (unsigned side = 0; side < NSIDES; side++)
		if (changes[side].anew || changes[side].mac || changes[side].mtu)
			follow(live, (enum side)side, &changes[side], now);
	worker_announce(&live->crew.workers.worker[0], announced & ~live->held, now);
	crew_resume(&live->crew);
	memset(live->changes, 0, sizeof(live->changes));
	addresses_link_up(live, announced);
}

void follow_cable(struct live *live)
{
	struct cable_change heard[NSIDES];
	lb_time now = clock_now();
	bool any;

	cable_poll(live->cable, now, heard);
	any = note_changes(live, heard);
	follow_carriers(live, heard, now);
	for (unsigned side = 0; live->fastpath && side < NSIDES; side++)
		follow_note_left(live, (enum side)side);
	for (unsigned side = 0; live->fastpath && side < NSIDES; side++)
		if (!live->changes[side].anew)
			fastpath_follow(live->fastpath, (enum side)side,
			                cable_state(live->cable, (enum side)side));
	if (any)
		follow_changes(live, now);
}
