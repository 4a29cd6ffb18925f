/*
 * The fast path, as the process sees it.
 *
 * What the programs need is in maps that this process has in its memory: nothing but their
 * attachment to interfaces needs the kernel after the start.
 */
#include "fastpath.h"

#include "known.h"
#include "punt.h"
#include "strays.h"
#include "tc.h"
#include "told.h"
#include "whole.h"
#include "../process/log.h"
#include "../../lb/lb.h"
#include "../../lb/parse.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <unistd.h>

/* Takes over what was left, as far as the interfaces are still the same ones. */
static void take_over(struct fastpath *fastpath, struct cable *cable,
                      const struct fastpath_conf *conf)
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct fastpath_left *left = &conf->left[side];
		struct settings_left settings;

		if (!left->ifindex ||
		    (int)left->ifindex != cable_state(cable, (enum side)side)->link.index)
			continue;
		fastpath->was_left = true;
		fastpath->ends[side] = (struct attached){.ifindex = (int)left->ifindex,
		                                         .hook_made = left->hook,
		                                         .made_promiscuous = left->promiscuous};
		for (unsigned i = 0; i < NSETTINGS; i++) {
			settings.ours[i] = left->ours[i] & FASTPATH_LEFT_OURS;
			settings.with_all[i] = left->ours[i] & FASTPATH_LEFT_WITH_ALL;
			settings.before[i] = left->before[i];
		}
		cable_take_over(cable, (enum side)side, &settings);
	}
}

/* Removes the pair of punt devices that was made for a port which is gone. Frames that programs on
 * the other port still send there are lost, as they were without a process. */
static void remove_orphans(const struct fastpath *fastpath, const struct fastpath_conf *conf)
{
	struct link punt;

	if (punt_find_orphan(fastpath->socket, (int)conf->sides[OUTSIDE].punt, &punt) == 0)
		punt_remove(fastpath->socket, &punt);
}

static int make_punts(struct fastpath *fastpath, int outside)
{
	int err = punt_make(fastpath->socket, outside, fastpath->punts);

	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = attached_nobody(fastpath->socket, &fastpath->maps.loaded,
		                      fastpath->punts[side].index);
	return err;
}

/* Each step with what to say if it fails. */
static int open_all(struct fastpath *fastpath, const char *const names[NSIDES], struct cable *cable,
                    const struct rules *rules, const struct share *shares, unsigned n,
                    const struct heritage *heritage, const struct guard *guard,
                    const char **ret_what)
{
	const struct loaded_guard maps = guard ? guard_maps(guard) : (struct loaded_guard){{0}};
	struct fastpath_conf left;
	int err;

	*ret_what = "rtnetlink";
	if ((err = link_open(0, &fastpath->socket)) < 0)
		return err;
	*ret_what = "a BPF file system in /sys/fs/bpf";
	if ((err = pins_open(&fastpath->pins, names)) < 0)
		return err;
	*ret_what = "loading programs";
	if ((err = maps_open(&fastpath->maps, rules, shares, n, heritage, guard ? &maps : NULL)) <
	    0)
		return err;
	fastpath->inherits = fastpath->maps.inherited;
	/* until the workers run, flows go on as without a process */
	fastpath_beat(fastpath, (lb_time){0});
	*ret_what = "the filters' program";
	filters_begin(&fastpath->filters, &fastpath->maps.loaded);
	if ((err = fastpath_prepare_filters(fastpath, rules)) < 0 &&
	    rules->fast_path == FAST_PATH_KERNEL)
		return err;
	*ret_what = "maps of an earlier process";
	if (fastpath->inherits && (err = maps_pin(&fastpath->maps, &fastpath->pins)) < 0)
		return err;
	if (heritage_read(&fastpath->pins, &left)) {
		take_over(fastpath, cable, &left);
		remove_orphans(fastpath, &left);
	} else {
		strays_tell(fastpath->socket, names, cable);
	}
	fastpath->has_begun = true;
	*ret_what = "making a pair of veth devices";
	if ((err = make_punts(fastpath, cable_state(cable, OUTSIDE)->link.index)) < 0)
		return err;
	*ret_what = "entering programs into an array";
	return loaded_attend(&fastpath->maps.loaded);
}

static void forget(struct fastpath *fastpath)
{
	filters_close(&fastpath->filters);
	maps_close(&fastpath->maps);
	if (fastpath->socket)
		mnl_socket_close(fastpath->socket);
	free(fastpath);
}

void fastpath_close(struct fastpath *fastpath)
{
	if (!fastpath)
		return;
	for (unsigned side = 0; side < NSIDES; side++)
		attached_remove(fastpath->socket, &fastpath->ends[side]);
	if (fastpath->punts[OUTSIDE].index)
		punt_remove(fastpath->socket, &fastpath->punts[OUTSIDE]);
	/* the pins are root's, whom this process no longer is: they may stay */
	if (fastpath->maps.conf)
		fastpath->maps.conf->layout = FASTPATH_GIVEN_UP;
	loaded_unpin(&fastpath->pins);
	forget(fastpath);
}

void fastpath_leave(struct fastpath *fastpath)
{
	if (fastpath)
		forget(fastpath);
}

bool fastpath_was_left(const struct fastpath *fastpath)
{
	return fastpath && fastpath->was_left;
}

int fastpath_pin(struct fastpath *fastpath)
{
	return fastpath->maps.inherited ? 0 : maps_pin(&fastpath->maps, &fastpath->pins);
}

/* By index, as the pair was made for them. */
static void find_punts(struct fastpath *fastpath, const struct fastpath_conf *conf)
{
	for (unsigned side = 0; side < NSIDES; side++)
		if (link_query_index(fastpath->socket, (int)conf->sides[side].punt,
		                     &fastpath->punts[side]) < 0)
			fastpath->punts[side].index = 0;
}

int fastpath_release(const char *const names[NSIDES], struct cable *cable)
{
	struct fastpath *fastpath = calloc(1, sizeof(*fastpath));
	struct fastpath_conf conf;
	int err = fastpath ? link_open(0, &fastpath->socket) : -ENOMEM;

	if (!err)
		err = pins_find(&fastpath->pins, names);
	if (!err && !heritage_read(&fastpath->pins, &conf))
		err = -ENOENT;
	if (err < 0) {
		if (err == -ENOENT && fastpath->socket)
			err = strays_remove(fastpath->socket, &fastpath->pins, names, cable);
		fastpath_leave(fastpath);
		return err;
	}
	take_over(fastpath, cable, &conf);
	remove_orphans(fastpath, &conf);
	find_punts(fastpath, &conf);
	fastpath_close(fastpath);
	return 0;
}

/* Goes without a fast path: removes one that was left, which must not go on beside the packet
 * sockets. */
static int give_up(const char *const names[NSIDES], struct cable *cable)
{
	if (fastpath_release(names, cable) == 0)
		log_info("fast path: removed what an earlier process had left");
	return 0;
}

void fastpath_find(const char *const names[NSIDES], struct heritage *ret)
{
	struct pins pins;

	heritage_none(ret);
	if (pins_find(&pins, names) == 0)
		heritage_find(ret, &pins);
}

/* Goes on without a fast path, or fails if the rules demand one: then what an earlier process has
 * left goes on as it was. Nothing has been attached by this process yet. */
static int open_failed(struct fastpath *fastpath, const char *const names[NSIDES],
                       struct cable *cable, const struct rules *rules, const char *what, int err)
{
	if (!fastpath->has_begun ||
	    (rules->fast_path == FAST_PATH_KERNEL && fastpath_was_left(fastpath)))
		fastpath_leave(fastpath);
	else
		fastpath_close(fastpath);
	if (rules->fast_path == FAST_PATH_KERNEL) {
		log_error("fast path: %s: %s", what, strerror(-err));
		return err;
	}
	log_info("no fast path, but packet sockets: %s: %s", what, strerror(-err));
	return give_up(names, cable);
}

int fastpath_open(const char *const names[NSIDES], struct cable *cable, const struct rules *rules,
                  const struct share *shares, unsigned n, const struct heritage *heritage,
                  const struct guard *guard, struct fastpath **ret)
{
	struct fastpath *fastpath;
	const char *what = "memory";
	int err;

	*ret = NULL;
	if (!fastpath_is_wanted(rules) && !(heritage && heritage->live))
		return give_up(names, cable);
	fastpath = calloc(1, sizeof(*fastpath));
	err = fastpath ? open_all(fastpath, names, cable, rules, shares, n, heritage, guard, &what)
	               : -ENOMEM;
	if (err < 0)
		return open_failed(fastpath, names, cable, rules, what, err);
	*ret = fastpath;
	return 0;
}

bool fastpath_inherits(const struct fastpath *fastpath)
{
	return fastpath && fastpath->inherits;
}

bool fastpath_had(const struct fastpath *fastpath, const struct ip6 *address, uint16_t vlan)
{
	struct fastpath_key key = fastpath_key6(address);
	const struct maps *maps;
	struct ip6 mapped;
	be32 ip;

	if (!fastpath_inherits(fastpath))
		return false;
	maps = &fastpath->maps;
	memcpy(&ip, address->b + sizeof(*address) - sizeof(ip), sizeof(ip));
	mapped = ip6_mapped(ip);
	if (ip6_eq(address, &mapped))
		key = fastpath_key4(ip);
	return known_kinds(maps->conf, maps->addresses, &key, vlan) & ADDRESS_OURS;
}

const struct link *fastpath_punt(const struct fastpath *fastpath, enum side side)
{
	return &fastpath->punts[side];
}

void fastpath_follow(struct fastpath *fastpath, enum side side, const struct cable_state *is)
{
	struct fastpath_side *conf = &fastpath->maps.conf->sides[side];
	const uint32_t ifindex = is->state == LINK_GONE ? 0 : (uint32_t)is->link.index;

	conf->punt = (uint32_t)fastpath->punts[side].index;
	conf->mtu = is->link.mtu;
	conf->is = (is->used ? FASTPATH_HOSTS : 0) | (is->state == LINK_UP ? 0 : FASTPATH_NO_LINK);
	conf->mac = fastpath_mac(is->link.mac.b);
	__atomic_store_n(&conf->ifindex, ifindex, __ATOMIC_RELEASE);
}

/* What attached_remove() would set back, also if somebody else does it. */
static void note_attached(struct fastpath *fastpath, enum side side)
{
	const struct attached *end = &fastpath->ends[side];
	struct fastpath_left *left = &fastpath->maps.conf->left[side];

	left->ifindex = (uint32_t)end->ifindex;
	left->hook = end->hook_made;
	left->promiscuous = end->made_promiscuous;
}

void fastpath_note_left(struct fastpath *fastpath, enum side side, const struct settings_left *left)
{
	struct fastpath_left *ret = &fastpath->maps.conf->left[side];

	for (unsigned i = 0; i < NSETTINGS; i++) {
		ret->ours[i] = (left->ours[i] ? FASTPATH_LEFT_OURS : 0) |
		               (left->with_all[i] ? FASTPATH_LEFT_WITH_ALL : 0);
		ret->before[i] = left->before[i];
	}
}

static int attach_filters(struct fastpath *fastpath, enum side side)
{
	return attached_set_filters(fastpath->socket, &fastpath->ends[side],
	                            fastpath->filters.programs[side]);
}

int fastpath_attach(struct fastpath *fastpath, enum side side, const struct cable_state *is)
{
	const struct link *link = &is->link;
	struct attached *end = &fastpath->ends[side];
	int err;

	if (end->ifindex != link->index)
		*end = (struct attached){.ifindex = link->index}; /* the old one is gone */
	err = tc_add_hook(fastpath->socket, link->index);
	end->hook_made |= !err;
	if (err < 0 && err != -EEXIST)
		return err;
	if (!fastpath->maps.conf->routes &&
	    (err = attached_make_promiscuous(fastpath->socket, end, link)) < 0)
		return err;
	fastpath_follow(fastpath, side, is);
	note_attached(fastpath, side);
	err = attach_filters(fastpath, side);
	if (!err)
		err = attached_add(fastpath->socket, &fastpath->maps.loaded, link->index,
		                   TC_RECEIVE, LOADED_RECEIVE + side);
	if (!err)
		err = attached_add(fastpath->socket, &fastpath->maps.loaded, link->index, TC_FLOW,
		                   LOADED_FLOW + side);
	return err ? err
	           : attached_add(fastpath->socket, &fastpath->maps.loaded, link->index, TC_FLOW6,
	                          LOADED_FLOW6 + side);
}

int fastpath_prepare_filters(struct fastpath *fastpath, const struct rules *rules)
{
	fastpath->unfiltered = filters_prepare(&fastpath->filters, rules);
	return fastpath->unfiltered;
}

/* Notes in conf if the filters' program is attached: only then the other programs read what it
 * leaves in skb->cb. */
static void set_filtered(struct fastpath *fastpath, bool filtered)
{
	__atomic_store_n(&fastpath->maps.conf->filtered, filtered, __ATOMIC_SEQ_CST);
}

int fastpath_use_filters(struct fastpath *fastpath, const struct rules *rules, lb_time now)
{
	int old[NSIDES], err = 0;

	if (fastpath->unfiltered)
		return fastpath->unfiltered;
	fastpath->unfiltered = -ENODATA; /* what has been prepared is used once */
	filters_use(&fastpath->filters, rules, now, old);
	if (!rules->nfilters)
		set_filtered(fastpath, false);
	for (unsigned side = 0; side < NSIDES && !err; side++)
		err = attach_filters(fastpath, (enum side)side);
	if (!err) { /* else all filtering is left to the process, once that is ready for it */
		filters_used(&fastpath->filters);
		set_filtered(fastpath, rules->nfilters);
	}
	for (unsigned side = 0; side < NSIDES; side++)
		if (old[side] >= 0)
			close(old[side]);
	return err;
}

void fastpath_forgo_filters(struct fastpath *fastpath, const struct rules *rules)
{
	filters_forgo(&fastpath->filters, rules);
}

bool fastpath_filters(const struct fastpath *fastpath)
{
	return fastpath_is_active(fastpath) && fastpath->maps.conf->filtered;
}

void fastpath_filter_count(const struct fastpath *fastpath, unsigned filter,
                           struct fastpath_filter_counts *ret)
{
	*ret = (struct fastpath_filter_counts){0};
	if (fastpath)
		filters_count(&fastpath->filters, filter, ret);
}

bool fastpath_filter_see(struct fastpath *fastpath, unsigned filter,
                         struct fastpath_filter_seen *ret)
{
	return fastpath && filters_see(&fastpath->filters, filter, ret);
}

/* Takes the filters' program off while the others are off: its result isn't used, and it would cost
 * time for each frame. */
static void remove_filters(struct fastpath *fastpath)
{
	set_filtered(fastpath, false);
	filters_drop(&fastpath->filters);
	for (unsigned side = 0; side < NSIDES; side++)
		attach_filters(fastpath, (enum side)side);
}

void fastpath_activate(struct fastpath *fastpath, bool active)
{
	__atomic_store_n(&fastpath->maps.conf->active, active, __ATOMIC_SEQ_CST);
	if (!active)
		remove_filters(fastpath);
}

bool fastpath_is_active(const struct fastpath *fastpath)
{
	return fastpath && fastpath->maps.conf->active;
}

void fastpath_beat(struct fastpath *fastpath, lb_time now)
{
	__atomic_store_n(&fastpath->maps.conf->alive_ns, now.ns, __ATOMIC_RELAXED);
}

bool fastpath_has_crossed(const struct fastpath *fastpath, const struct frame *frame)
{
	return fastpath_is_active(fastpath) &&
	       told_is_one(fastpath->maps.conf, fastpath->maps.addresses, frame);
}

int fastpath_prepare_rules(struct fastpath *fastpath, const struct rules *rules)
{
	return maps_prepare_rules(&fastpath->maps, rules);
}

int fastpath_set_rules(struct fastpath *fastpath, const struct rules *rules)
{
	return maps_set_rules(&fastpath->maps, rules);
}

void fastpath_table(const struct fastpath *fastpath, unsigned worker, struct table *ret)
{
	maps_table(&fastpath->maps, worker, ret);
}

void fastpath_hold(struct fastpath *fastpath, enum fastpath_hold why, bool held)
{
	if (held)
		fastpath->holds |= why;
	else
		fastpath->holds &= ~(unsigned)why;
	maps_hold(&fastpath->maps, fastpath->holds ? FASTPATH_HELD : FASTPATH_FREE);
}

void fastpath_count(const struct fastpath *fastpath, struct fastpath_counts *ret)
{
	maps_count(&fastpath->maps, ret);
}

uint64_t fastpath_refused(struct fastpath *fastpath, enum side side)
{
	const struct link *punt = &fastpath->punts[side];
	struct link is;

	if (link_query_index(fastpath->socket, punt->index, &is) == 0 &&
	    is.refused >= punt->refused)
		fastpath->refused[side] = is.refused - punt->refused;
	return fastpath->refused[side];
}
