/*
 * Our addresses: when they are checked, and used.
 *
 * One is used on a side only once it has been checked there. A side that has no carrier is held
 * until it has one. A carrier doesn't mean that anybody can answer yet: a switch with a spanning
 * tree (IEEE 802.1D) forwards nothing for the first 30 s. So the check counts once any host has
 * been heard there since, or after ADDRESSES_QUIET_S.
 */
#include "addresses.h"

#include "process/clock.h"
#include "process/log.h"

#include <errno.h>
#include <poll.h>

/* How often those that somebody had are checked again. */
enum { ADDRESSES_RETRY_S = 10 };

/* Listening and learning take 15 s each by default (802.1D, 8.10.2). */
enum { ADDRESSES_QUIET_S = 35 };

/* How often in a row, if the link goes down each time. */
enum { ADDRESSES_CHECKS = 2 };

/* Which addresses are to be checked: those of rules that aren't in before, which may be NULL. */
struct question {
	const struct rules *rules, *before; /* the latter may be NULL */
	bool first_only;
};

/* Those of sides that have a carrier in this moment, and how these are; of others ret_links is
 * NULL. */
static unsigned look(const struct live *live, unsigned sides, struct link ret[NSIDES],
                     const struct link *ret_links[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *was = &cable_state(live->cable, (enum side)side)->link;

		if (sides >> side & 1 &&
		    (link_query_index(cable_socket(live->cable), was->index, &ret[side]) < 0 ||
		     plug_state_of(&ret[side]) != LINK_UP))
			sides &= ~(1u << side);
		ret_links[side] = sides >> side & 1 ? &ret[side] : NULL;
	}
	return sides;
}

/* The kernel is asked: what the cable has heard may be of before. */
unsigned addresses_with_carrier(const struct live *live, unsigned sides)
{
	const struct link *links[NSIDES];
	struct link found[NSIDES];

	return look(live, sides, found, links);
}

/* Takes those out of *sides that had no carrier all the time. Nobody can answer then. */
static int check_once(struct live *live, const struct question *question, unsigned *sides,
                      struct vacancy_check *ret)
{
	const struct link *links[NSIDES], *later[NSIDES];
	struct link before[NSIDES], after[NSIDES];
	const unsigned asked = look(live, *sides, before, links);
	unsigned done;
	int err;

	err = vacancy_check(live->vacancy, links, question->rules, question->before, live->fastpath,
	                    question->first_only, ret);
	done = look(live, asked, after, later) & ~ret->down;
	for (unsigned side = 0; side < NSIDES; side++)
		if (done >> side & 1 && before[side].drops != after[side].drops)
			done &= ~(1u << side);
	if (ret->any)
		*sides = done;
	return err;
}

/* Between checks, as well, where nobody has been heard yet. */
static void listen_on(const struct live *live)
{
	const struct link *links[NSIDES];
	struct link found[NSIDES];

	look(live, live->quiet, found, links);
	vacancy_listen(live->vacancy, links);
}

/* A link that was down for a moment only is no reason to do without the addresses for seconds. */
static int check(struct live *live, const struct question *question, unsigned *sides,
                 bool *ret_more)
{
	unsigned done = 0, left = *sides;
	struct vacancy_check result = {0};
	int err = 0;

	for (unsigned i = 0; left && !err && i < ADDRESSES_CHECKS; i++) {
		unsigned now = left;

		err = check_once(live, question, &now, &result);
		done |= now;
		left &= ~now;
		*ret_more |= result.more;
	}
	*sides = done;
	if (live->quiet)
		listen_on(live);
	return err;
}

int addresses_check(struct live *live, unsigned *sides, const struct rules *rules)
{
	const struct question question = {.rules = rules};
	bool more = false;

	return check(live, &question, sides, &more);
}

int addresses_check_first(struct live *live, unsigned *sides, const struct rules *rules,
                          bool *ret_more)
{
	const struct question question = {.rules = rules, .first_only = true};

	*ret_more = false;
	return check(live, &question, sides, ret_more);
}

unsigned addresses_unchecked(const struct live *live, const struct rules *rules)
{
	const unsigned all = way_ports(rules), sides = all & ~addresses_with_carrier(live, all);

	return vacancy_wanted(rules, NULL, live->fastpath, sides);
}

void addresses_wait(struct live *live, unsigned sides)
{
	vacancy_heard(live->vacancy, sides); /* by the link of before */
	live->quiet |= sides;
	for (unsigned side = 0; side < NSIDES; side++) {
		if (!(sides >> side & 1))
			continue;
		live->quiet_until[side].ns = UINT64_MAX;
		log_warning("%s: has no carrier: whether our addresses are free there is checked "
		            "when it has one, and until then none is used",
		            live->options->names[side]);
	}
}

/* The addresses that are in use on a side aren't given up for one that can't be checked there. */
int addresses_check_new(struct live *live, const struct rules *rules, const struct rules *before)
{
	const struct question question = {.rules = rules, .before = before};
	const unsigned all = way_ports(rules);
	unsigned sides = addresses_with_carrier(live, all);
	bool more = false;
	int err = check(live, &question, &sides, &more);

	live->quiet &= ~vacancy_heard(live->vacancy, live->quiet & ~live->held);
	sides = ((all & ~sides) | live->quiet) & ~live->held;
	sides = vacancy_wanted(rules, before, live->fastpath, sides);
	if (err || !sides)
		return err;
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_error("%s: %s: whether the new addresses are free there can't be "
			          "checked",
			          live->options->names[side],
			          live->quiet >> side & 1 ? "nobody has been heard there yet"
			                                  : "has no carrier");
	return -ENETDOWN;
}

/* Uses our addresses nowhere on these sides. The workers must stand still. */
void addresses_hold(struct live *live, unsigned sides)
{
	live->held = sides;
	for (unsigned k = 0; k < live->crew.n; k++)
		worker_hold(&live->crew.workers.worker[k], sides);
	if (live->fastpath)
		fastpath_hold(live->fastpath, FASTPATH_HOLD_UNCHECKED, sides);
}

void addresses_follow_rules(struct live *live)
{
	live->retry_held = (lb_time){0};
}

/* Has the workers, which run, use our addresses on these sides, and announces them; unless one
 * doesn't move: then they stay held. */
static int use(struct live *live, unsigned sides, lb_time now)
{
	int err = crew_pause(&live->crew);

	if (err)
		return err;
	addresses_hold(live, live->held & ~sides);
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

int addresses_check_rest(struct live *live)
{
	const struct rules *rules = live->crew.workers.rules;
	const unsigned asked = addresses_with_carrier(live, live->held & ~live->quiet);
	unsigned sides = asked;
	int err = addresses_check(live, &sides, rules);

	if (err)
		return err;
	use(live, sides, clock_now()); /* or later: addresses_look() */
	addresses_wait(live, asked & ~sides);
	return 0;
}

/* Of held sides only those are used of which it counts: where somebody could hear the question. */
static void check_again(struct live *live, unsigned sides)
{
	const lb_time now = clock_now();
	const unsigned asked = addresses_with_carrier(live, sides);
	int err;

	sides = asked;
	if (!sides)
		return;
	err = addresses_check(live, &sides, live->crew.workers.rules);
	live->retry_held.ns = now.ns + ADDRESSES_RETRY_S * LB_NS_PER_S;
	if (err)
		live->quiet &= ~vacancy_heard(live->vacancy, asked);
	if (!err && live->held & sides & ~live->quiet)
		release(live, live->held & sides & ~live->quiet, clock_now());
	else if (err && live->held & sides)
		log_error("our addresses are not used there: checked again every %d s",
		          ADDRESSES_RETRY_S);
}

/* What is found on one is nothing against the other. */
static void check_each(struct live *live, unsigned sides)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			check_again(live, 1u << side);
}

static void say_quiet(const struct live *live, unsigned sides)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_info("%s: nobody has been heard there yet, as where a switch doesn't "
			         "forward at first: our addresses are used once somebody is, or "
			         "in %d s",
			         live->options->names[side], ADDRESSES_QUIET_S);
}

void addresses_link_up(struct live *live, unsigned sides)
{
	const uint64_t until = clock_now().ns + ADDRESSES_QUIET_S * LB_NS_PER_S;

	vacancy_heard(live->vacancy, sides); /* before that */
	live->quiet |= sides;
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			live->quiet_until[side].ns = until;
	check_each(live, sides);
	say_quiet(live, addresses_with_carrier(live, live->held & live->quiet & sides));
}

/* Those of quiet sides that have somebody now, or have waited for long enough. */
static unsigned no_longer_quiet(const struct live *live, lb_time now)
{
	unsigned ret = vacancy_heard(live->vacancy, live->quiet);

	for (unsigned side = 0; side < NSIDES; side++)
		if (live->quiet >> side & 1 && now.ns >= live->quiet_until[side].ns)
			ret |= 1u << side;
	return ret;
}

void addresses_poll(const struct live *live, struct pollfd ret[NSIDES])
{
	int fds[NSIDES];

	vacancy_fds(live->vacancy, fds);
	for (unsigned side = 0; side < NSIDES; side++)
		ret[side] = (struct pollfd){.fd = live->quiet >> side & 1 ? fds[side] : -1,
		                            .events = POLLIN};
}

void addresses_look(struct live *live)
{
	const lb_time now = clock_now();
	const unsigned sides = live->quiet ? no_longer_quiet(live, now) : 0;

	live->quiet &= ~sides;
	if (sides & ~live->held)
		use(live, sides & ~live->held, now); /* again: nobody may have heard it */
	check_each(live, sides);
	if (now.ns >= live->retry_held.ns)
		check_each(live, live->held & ~live->quiet & ~sides);
}
