/*
 * What follows for ports, addresses and programs in the kernel when an interface goes, comes back
 * or changes; and when the rules change.
 *
 * An address of ours is used on a side only once it has been checked there. A side that has no
 * carrier is held until it has one.
 */
#include "follow.h"

#include "cable/host.h"
#include "process/clock.h"
#include "process/log.h"
#include "remains.h"

#include <errno.h>
#include <string.h>

/* How often addresses that somebody had are checked again. */
enum { FOLLOW_RETRY_S = 10 };

/* How often in a row, if the link goes down each time. */
enum { FOLLOW_CHECKS = 2 };

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

/* Which addresses are to be checked: those of rules that aren't in before, which may be NULL. */
struct question {
	const struct rules *rules, *before; /* the latter may be NULL */
	bool first_only;
};

/* Those of sides that have a carrier in this moment, and how these are. */
static unsigned look(const struct live *live, unsigned sides, struct link ret[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *was = &cable_state(live->cable, (enum side)side)->link;

		if (sides >> side & 1 &&
		    (link_query_index(cable_socket(live->cable), was->index, &ret[side]) < 0 ||
		     plug_state_of(&ret[side]) != LINK_UP))
			sides &= ~(1u << side);
	}
	return sides;
}

/* The kernel is asked: what the cable has heard may be of before. */
unsigned follow_with_carrier(const struct live *live, unsigned sides)
{
	struct link links[NSIDES];

	return look(live, sides, links);
}

/* Takes those out of *sides that had no carrier all the time. Nobody can answer then. */
static int check_once(struct live *live, const struct question *question, unsigned *sides,
                      struct vacancy_check *ret)
{
	const struct link *links[NSIDES] = {NULL, NULL};
	struct link before[NSIDES], after[NSIDES];
	const unsigned asked = look(live, *sides, before);
	unsigned done;
	int err;

	for (unsigned side = 0; side < NSIDES; side++)
		if (asked >> side & 1)
			links[side] = &before[side];
	err = vacancy_check(live->vacancy, links, question->rules, question->before, live->fastpath,
	                    question->first_only, ret);
	done = look(live, asked, after) & ~ret->down;
	for (unsigned side = 0; side < NSIDES; side++)
		if (done >> side & 1 && before[side].drops != after[side].drops)
			done &= ~(1u << side);
	if (ret->any)
		*sides = done;
	return err;
}

/* A link that was down for a moment only is no reason to do without the addresses for seconds. */
static int check(struct live *live, const struct question *question, unsigned *sides,
                 bool *ret_more)
{
	unsigned done = 0, left = *sides;
	struct vacancy_check result = {0};
	int err = 0;

	for (unsigned i = 0; left && !err && i < FOLLOW_CHECKS; i++) {
		unsigned now = left;

		err = check_once(live, question, &now, &result);
		done |= now;
		left &= ~now;
		*ret_more |= result.more;
	}
	*sides = done;
	return err;
}

int follow_check(struct live *live, unsigned *sides, const struct rules *rules,
                 const struct rules *before)
{
	const struct question question = {.rules = rules, .before = before};
	bool more = false;

	return check(live, &question, sides, &more);
}

int follow_check_first(struct live *live, unsigned *sides, const struct rules *rules,
                       bool *ret_more)
{
	const struct question question = {.rules = rules, .first_only = true};

	*ret_more = false;
	return check(live, &question, sides, ret_more);
}

unsigned follow_unchecked(const struct live *live, const struct rules *rules,
                          const struct rules *before)
{
	const unsigned all = way_ports(rules), sides = all & ~follow_with_carrier(live, all);

	return sides && vacancy_is_wanted(rules, before, live->fastpath) ? sides : 0;
}

void follow_say_unchecked(const struct live *live, unsigned sides)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_warning("%s: has no carrier: whether our addresses are free there is "
			            "checked when it has one, and until then none is used",
			            live->options->names[side]);
}

int follow_check_new(void *ctx, const struct rules *rules, const struct rules *before)
{
	struct live *live = ctx;
	const unsigned all = follow_with_carrier(live, way_ports(rules));
	unsigned sides = all;
	int err;

	live->to_hold = follow_unchecked(live, rules, before);
	if (live->fastpath)
		fastpath_prepare_filters(live->fastpath, rules); /* follow_filters() says if not */
	err = follow_check(live, &sides, rules, before);
	live->to_hold |= all & ~sides;
	return err;
}

/* Uses our addresses nowhere on these sides. The workers must stand still. */
void follow_hold(struct live *live, unsigned sides)
{
	live->held = sides;
	for (unsigned k = 0; k < live->crew.n; k++)
		worker_hold(&live->crew.workers.worker[k], sides);
	if (live->fastpath)
		fastpath_hold(live->fastpath, FASTPATH_HOLD_UNCHECKED, sides);
}

/* Holds the sides on which new addresses couldn't be checked, and has those of all held sides
 * checked again soon. */
static void follow_addresses(struct live *live)
{
	const unsigned sides = live->to_hold & ~live->held;

	if (sides)
		follow_hold(live, live->held | sides);
	live->retry_held = (lb_time){0};
	follow_say_unchecked(live, sides);
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
	follow_addresses(live);
}

/* Has the workers, which run, use our addresses on these sides, and announces them; unless one
 * doesn't move: then they stay held. */
static int use(struct live *live, unsigned sides, lb_time now)
{
	int err = crew_pause(&live->crew);

	if (err)
		return err;
	follow_hold(live, live->held & ~sides);
	worker_announce(&live->crew.workers.worker[0], sides, now);
	crew_resume(&live->crew);
	return 0;
}

static void release(struct live *live, unsigned sides, lb_time now)
{
	if (use(live, sides, now))
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_info("%s: our addresses are checked, and in use",
			         live->options->names[side]);
}

int follow_check_rest(struct live *live)
{
	const struct rules *rules = live->crew.workers.rules;
	const unsigned asked = follow_with_carrier(live, live->held);
	unsigned sides = asked;
	int err = follow_check(live, &sides, rules, NULL);

	if (!err)
		use(live, sides, clock_now()); /* or later: follow_held() */
	if (!err)
		follow_say_unchecked(live, asked & ~sides);
	return err;
}

/*
 * Checks our addresses on sides whose link has come up. Those that are in use already stay so
 * whatever is found, which is logged. Others are used from now on, unless another host has them.
 */
static void check_addresses(struct live *live, unsigned sides)
{
	lb_time now = clock_now();
	int err;

	sides = follow_with_carrier(live, sides);
	if (!sides)
		return;
	err = follow_check(live, &sides, live->crew.workers.rules, NULL);
	live->retry_held.ns = now.ns + FOLLOW_RETRY_S * LB_NS_PER_S;
	if (!err && live->held & sides)
		release(live, live->held & sides, clock_now());
	else if (live->held & sides)
		log_error("our addresses are not used there: checked again every %d s",
		          FOLLOW_RETRY_S);
}

void follow_held(struct live *live)
{
	if (live->held && clock_now().ns >= live->retry_held.ns)
		check_addresses(live, live->held);
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
	check_addresses(live, announced);
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
