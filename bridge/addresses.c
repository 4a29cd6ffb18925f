/*
 * Our addresses: when they are checked, and used.
 *
 * One is used on a side only once it has been checked there. A side that has no carrier is held
 * until it has one.
 */
#include "addresses.h"

#include "process/clock.h"
#include "process/log.h"

#include <errno.h>

/* How often those that somebody had are checked again. */
enum { ADDRESSES_RETRY_S = 10 };

/* How often in a row, if the link goes down each time. */
enum { ADDRESSES_CHECKS = 2 };

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
unsigned addresses_with_carrier(const struct live *live, unsigned sides)
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

	for (unsigned i = 0; left && !err && i < ADDRESSES_CHECKS; i++) {
		unsigned now = left;

		err = check_once(live, question, &now, &result);
		done |= now;
		left &= ~now;
		*ret_more |= result.more;
	}
	*sides = done;
	return err;
}

int addresses_check(struct live *live, unsigned *sides, const struct rules *rules,
                    const struct rules *before)
{
	const struct question question = {.rules = rules, .before = before};
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

unsigned addresses_unchecked(const struct live *live, const struct rules *rules,
                             const struct rules *before)
{
	const unsigned all = way_ports(rules), sides = all & ~addresses_with_carrier(live, all);

	return sides && vacancy_is_wanted(rules, before, live->fastpath) ? sides : 0;
}

void addresses_say_unchecked(const struct live *live, unsigned sides)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_warning("%s: has no carrier: whether our addresses are free there is "
			            "checked when it has one, and until then none is used",
			            live->options->names[side]);
}

/* The addresses that are in use on a side aren't given up for one that can't be checked there. */
int addresses_check_new(struct live *live, const struct rules *rules, const struct rules *before)
{
	const unsigned all = way_ports(rules);
	unsigned sides = addresses_with_carrier(live, all);
	int err = addresses_check(live, &sides, rules, before);

	sides = all & ~sides & ~live->held;
	if (err || !sides || !vacancy_is_wanted(rules, before, live->fastpath))
		return err;
	for (unsigned side = 0; side < NSIDES; side++)
		if (sides >> side & 1)
			log_error("%s: has no carrier: whether the new addresses are free there "
			          "can't be checked",
			          live->options->names[side]);
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
	const unsigned asked = addresses_with_carrier(live, live->held);
	unsigned sides = asked;
	int err = addresses_check(live, &sides, rules, NULL);

	if (!err)
		use(live, sides, clock_now()); /* or later: addresses_look() */
	if (!err)
		addresses_say_unchecked(live, asked & ~sides);
	return err;
}

void addresses_link_up(struct live *live, unsigned sides)
{
	lb_time now = clock_now();
	int err;

	sides = addresses_with_carrier(live, sides);
	if (!sides)
		return;
	err = addresses_check(live, &sides, live->crew.workers.rules, NULL);
	live->retry_held.ns = now.ns + ADDRESSES_RETRY_S * LB_NS_PER_S;
	if (!err && live->held & sides)
		release(live, live->held & sides, clock_now());
	else if (live->held & sides)
		log_error("our addresses are not used there: checked again every %d s",
		          ADDRESSES_RETRY_S);
}

void addresses_look(struct live *live)
{
	if (live->held && clock_now().ns >= live->retry_held.ns)
		addresses_link_up(live, live->held);
}
