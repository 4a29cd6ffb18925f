/*
 * Maps are pinned under the names of the command line, but an interface is known by its index, and
 * as other network namespaces have the same indices, by its MAC address. Both may be the same there
 * (the BPF file system is often shared): so nothing is taken under other names whose process still
 * says that it is well. One of a pair may be gone: who has taken its place has another index. If
 * there are no such maps, those under the names are taken, whatever interfaces they were of: of a
 * pair that was made anew. If there are none of those either, but some of interfaces that are gone
 * and had the MAC addresses of these, which nobody else has, the pair was made anew and is called
 * otherwise: unless somebody has those names again.
 *
 * Whoever gave maps up at its end was no longer root, whose the pins are: they, and the memory that
 * they hold, go here.
 */
#include "former.h"

#include "heritage.h"
#include "punt.h"
#include "shared.h"
#include "../process/clock.h"
#include "../process/log.h"

#include <errno.h>
#include <time.h>

/* If that was left of this interface, by that side; or if both are none. */
static bool is_same(const struct fastpath_conf *conf, unsigned side, const struct link *link)
{
	return conf->left[side].ifindex == (uint32_t)link->index &&
	       (!link->index || conf->sides[side].mac == fastpath_mac(link->mac.b));
}

static bool is_gone(const struct cable *cable, uint32_t ifindex)
{
	struct link link;

	return ifindex && link_query_index(cable_socket(cable), (int)ifindex, &link) == -ENODEV;
}

/* If that was left of the interfaces of the cable, one at least. */
static bool is_of(const struct fastpath_conf *conf, const struct cable *cable)
{
	bool any = false;

	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *link = &cable_state(cable, (enum side)side)->link;

		if (is_same(conf, side, link))
			any |= link->index != 0;
		else if (!link->index || !is_gone(cable, conf->left[side].ifindex))
			return false;
	}
	return any;
}

/* If one interface is of that, but not as it is now: the other way round, or beside another one. */
static bool overlaps(const struct fastpath_conf *conf, const struct cable *cable)
{
	bool any = false;

	for (unsigned i = 0; i < NSIDES; i++)
		for (unsigned side = 0; side < NSIDES; side++) {
			const struct link *link = &cable_state(cable, (enum side)side)->link;

			any |= link->index && is_same(conf, i, link);
		}
	return any;
}

/* If there is a punt device of a port that is gone, made for that. */
static bool has_orphan(const struct fastpath_conf *conf, const struct cable *cable)
{
	struct link punt;

	return punt_find_orphan(cable_socket(cable), (int)conf->sides[OUTSIDE].punt, &punt) == 0;
}

static bool are_all_there(const char *const names[NSIDES], const struct cable *cable)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (names[side] && !cable_state(cable, (enum side)side)->link.index)
			return false;
	return true;
}

/* If a process still says that it is well. Waits for that only if one has said so a moment ago. */
static bool lives(const struct pins *pins, const struct fastpath_conf *conf)
{
	const struct timespec stale = {.tv_sec = FASTPATH_STALE_NS / LB_NS_PER_S};
	struct fastpath_conf later;

	if (clock_now().ns > conf->alive_ns + FASTPATH_STALE_NS)
		return false;
	nanosleep(&stale, NULL);
	return heritage_read(pins, &later) && later.alive_ns != conf->alive_ns;
}

struct overlap {
	const struct cable *cable;
	bool any;
};

static void note_overlap(void *ctx, const struct pins *pins)
{
	struct overlap *overlap = ctx;
	struct fastpath_conf conf;

	/* who lives is in another network namespace, as these interfaces are claimed */
	overlap->any |= heritage_read(pins, &conf) && overlaps(&conf, overlap->cable) &&
	                !lives(pins, &conf);
}

/* Nothing of these interfaces is taken from under what was left of one of them and another one. */
static int may_release_all(const char *const names[NSIDES], const struct cable *cable)
{
	struct overlap overlap = {.cable = cable};
	struct pins pins;

	if (pins_find(&pins, names) == 0)
		return 0;
	pins_each(note_overlap, &overlap);
	if (!overlap.any)
		return 0;
	log_error("nothing is released: that goes by the names of a whole pair, outside first");
	return -EBUSY;
}

int former_may_release(const char *const names[NSIDES], const struct cable *cable)
{
	struct fastpath_conf conf;
	struct pins pins;

	if (are_all_there(names, cable))
		return may_release_all(names, cable);
	if (pins_find(&pins, names) < 0 || !heritage_read(&pins, &conf))
		return -ENODEV;
	return overlaps(&conf, cable) || has_orphan(&conf, cable) ? 0 : -ENODEV;
}

/* If that was made here, for interfaces that are all gone. */
static bool is_of_none(const struct fastpath_conf *conf, const struct cable *cable)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (conf->left[side].ifindex && !is_gone(cable, conf->left[side].ifindex))
			return false;
	return has_orphan(conf, cable);
}

/* If the interfaces have the MAC addresses of those that it was left of, and no others have these:
 * VLANs of one interface have them in common. */
static bool has_macs(const struct fastpath_conf *conf, const struct cable *cable)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct link *link = &cable_state(cable, (enum side)side)->link;

		if (!link->index != !conf->left[side].ifindex ||
		    (link->index && (conf->sides[side].mac != fastpath_mac(link->mac.b) ||
		                     link_count_mac(cable_socket(cable), link->mac) != 1)))
			return false;
	}
	return true;
}

struct names_search {
	const struct cable *cable;
	bool any;
};

/* Of the pair that a place is called by, if another interface than those of the cable has it. */
static void note_other(void *ctx, const char *name)
{
	struct names_search *search = ctx;
	const struct cable *cable = search->cable;
	struct link link = {.index = -1};

	if (!*name || link_query(cable_socket(cable), name, &link) == -ENODEV)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		if (cable_state(cable, (enum side)side)->link.index == link.index)
			return;
	search->any = true;
}

static bool has_names_again(const struct pins *pins, const struct cable *cable)
{
	struct names_search search = {.cable = cable};

	pins_names(pins, note_other, &search);
	return search.any;
}

struct search {
	const struct cable *cable;
	const char *const *names; /* of the command line, by enum side */
	bool found, taken;        /* taken: what is under these names is somebody else's */
	struct pins pins;         /* if found: where it is */
	uint64_t alive_ns;        /* whoever left it said that it was well */
	bool anew;                /* something was left of a pair that was made anew, it seems: */
	struct pins anew_pins;
	uint64_t anew_ns; /* as alive_ns */
};

static void say_other(const struct pins *pins)
{
	log_warning("%s was left of one of these interfaces and others: 'tmbridge wire release' of "
	            "those removes it, while no tmbridge runs on them",
	            pins->path);
}

static void say_gone(const struct pins *pins)
{
	log_warning("%s was left of interfaces that are gone: 'tmbridge wire release' of their "
	            "names removes it",
	            pins->path);
}

/* Of interfaces that are gone. If they may be the pair it is worth waiting to hear that nobody
 * lives who waits for them; else it is only said, and only if that is long so. */
static void consider_gone(struct search *search, const struct pins *pins,
                          const struct fastpath_conf *conf)
{
	const bool may_be = has_macs(conf, search->cable) && !has_names_again(pins, search->cable);

	if (may_be ? lives(pins, conf) : clock_now().ns <= conf->alive_ns + FASTPATH_STALE_NS)
		return;
	if (!may_be || (search->anew && conf->alive_ns <= search->anew_ns)) {
		say_gone(pins);
		return;
	}
	if (search->anew)
		say_gone(&search->anew_pins);
	search->anew = true;
	search->anew_pins = *pins;
	search->anew_ns = conf->alive_ns;
}

/* Of two the later one is right, by whose programs the other's were replaced. */
static void consider(void *ctx, const struct pins *pins)
{
	struct search *search = ctx;
	const bool is_own = pins_are_of(pins, search->names);
	struct fastpath_conf conf;

	if (!heritage_read_conf(pins, &conf))
		return;
	if (conf.layout == FASTPATH_GIVEN_UP)
		loaded_unpin(pins);
	if (conf.layout != FASTPATH_LAYOUT)
		return;
	if (!is_of(&conf, search->cable)) {
		if (is_own && lives(pins, &conf))
			search->taken = true;
		else if (!is_own && overlaps(&conf, search->cable))
			say_other(pins);
		else if (!is_own && is_of_none(&conf, search->cable))
			consider_gone(search, pins, &conf);
		return;
	}
	if (!is_own && lives(pins, &conf)) {
		log_warning("%s is of a tmbridge that runs, in another network namespace",
		            pins->path);
		return;
	}
	if (search->found && conf.alive_ns <= search->alive_ns) {
		loaded_unpin(pins);
		return;
	}
	if (search->found)
		loaded_unpin(&search->pins);
	search->found = true;
	search->pins = *pins;
	search->alive_ns = conf.alive_ns;
}

/* What was left of a pair that was made anew is taken if there is nothing better. */
static void choose(struct search *search, bool is_place_taken)
{
	if (!search->anew)
		return;
	if (search->found || is_place_taken) {
		say_gone(&search->anew_pins);
		return;
	}
	search->found = true;
	search->pins = search->anew_pins;
}

int former_find(const char *const names[NSIDES], const struct cable *cable)
{
	struct search search = {.cable = cable, .names = names};
	struct pins there;
	int err;

	if (!are_all_there(names, cable))
		return 0;
	pins_each(consider, &search);
	err = pins_find(&there, names);
	if (search.taken) {
		log_error("%s is of a tmbridge that runs, in another network namespace: it takes "
		          "a BPF file system each",
		          there.path);
		return -EBUSY;
	}
	choose(&search, err == 0);
	if (!search.found || pins_are_of(&search.pins, names))
		return 0;
	if (err == 0)
		loaded_unpin(&there);
	err = pins_move(&search.pins, names);
	if (err < 0)
		log_warning("%s, left of these interfaces by other names: %s", search.pins.path,
		            strerror(-err));
	else
		log_info("%s is what was left of these interfaces, by other names",
		         search.pins.path);
	return 0;
}
