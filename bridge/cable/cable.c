/*
 * The two interfaces.
 *
 * An interface that was made anew isn't set up here: whoever made it does that, maybe after other
 * settings that have to come first. Only under link_mirror tmbridge itself sets the ports up and
 * down.
 */
#include "cable.h"

#include "../process/log.h"
#include "monitor.h"
#include "routing.h"
#include "../../lb/way.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>

#define CABLE_RETRY_NS LB_NS_PER_S
#define CABLE_LOOK_NS  (5 * LB_NS_PER_S)
/* 10GBASE-T may take this long to agree on a speed. */
#define CABLE_RISE_NS (10 * LB_NS_PER_S)

struct cable {
	struct plug plugs[NSIDES];
	unsigned n; /* plugs in use: the first ones */
	struct mnl_socket *socket, *news;
	bool mirror, is_hosts, may_be_gone;
	struct routing routing;
	uint32_t mtus[NSIDES]; /* as last judged */
	lb_time look_again;    /* when to look even if there is no news */
};

/* ---- Both ---- */

static void judge_mtus(struct cable *cable)
{
	const struct plug *plugs = cable->plugs;
	uint32_t is[NSIDES], *was = cable->mtus;
	enum side small;
	struct details details = {.n = 0};

	for (unsigned side = 0; side < NSIDES; side++) {
		if (cable->is_hosts || plugs[side].is.state == LINK_GONE)
			return;
		is[side] = plugs[side].is.link.mtu;
	}
	if (is[OUTSIDE] == was[OUTSIDE] && is[INSIDE] == was[INSIDE])
		return;
	small = is[OUTSIDE] < is[INSIDE] ? OUTSIDE : INSIDE;
	details_number(&details, "outside_mtu", is[OUTSIDE]);
	details_number(&details, "inside_mtu", is[INSIDE]);
	if (is[OUTSIDE] != is[INSIDE])
		log_with(LOG_WARNING, &details,
		         "%s, %s: the MTUs differ, %u and %u: what is longer than %u is lost on "
		         "its way to %s",
		         plugs[OUTSIDE].name, plugs[INSIDE].name, is[OUTSIDE], is[INSIDE],
		         is[small], plugs[small].name);
	else if (was[OUTSIDE] != was[INSIDE])
		log_with(LOG_INFO, &details, "%s, %s: the MTUs are the same again, %u",
		         plugs[OUTSIDE].name, plugs[INSIDE].name, is[OUTSIDE]);
	memcpy(was, is, sizeof(is));
}

static const char *why_dead(enum link_state state)
{
	switch (state) {
	case LINK_NO_CARRIER:
		return "has no carrier";
	case LINK_DOWN:
		return "is down";
	default:
		return "is gone";
	}
}

static int set_up(struct cable *cable, struct plug *plug, bool up, lb_time now)
{
	int err = link_set_up(cable->socket, plug->is.link.index, up);

	if (err < 0) {
		plug->retry = (lb_time){now.ns + CABLE_RETRY_NS};
		if (err != -ENODEV)
			log_error("%s: can't be set %s: %s", plug->name, up ? "up" : "down",
			          strerror(-err));
		return err;
	}
	plug->rising = up;
	plug->raised = now;
	return 0;
}

static void hold(struct cable *cable, struct plug *plug, const struct plug *other, lb_time now,
                 struct cable_change *change)
{
	if (set_up(cable, plug, false, now) < 0)
		return;
	log_warning("%s: taken down%s, as %s %s", plug->name, plug->is.held ? " again" : "",
	            other->name, why_dead(other->is.state));
	plug->is.held = true;
	plug_look(plug, cable->socket, false, now, change);
}

static void release(struct cable *cable, struct plug *plug, const struct plug *other, lb_time now,
                    struct cable_change *change)
{
	if (plug->is.state != LINK_GONE && set_up(cable, plug, true, now) < 0)
		return;
	if (cable->mirror)
		log_info("%s: set up again, as %s is back", plug->name, other->name);
	else
		log_info("%s: set up again, as link_mirror is off", plug->name);
	plug->is.held = false;
	plug_look(plug, cable->socket, false, now, change);
}

static struct mirror_side mirror_side(const struct plug *plug)
{
	return (struct mirror_side){
	        .state = plug->is.state, .held = plug->is.held, .rising = plug->rising};
}

static void mirror(struct cable *cable, enum side side, lb_time now, struct cable_change *change)
{
	struct plug *plug = &cable->plugs[side];
	const struct plug *other = &cable->plugs[way_across(side)];
	const struct mirror_side self = mirror_side(plug), opposite = mirror_side(other);

	if (plug->rising && now.ns - plug->raised.ns > CABLE_RISE_NS)
		plug->rising = false;
	if (now.ns < plug->retry.ns)
		return;
	switch (mirror_decide(cable->mirror, &self, &opposite)) {
	case MIRROR_HOLD:
		hold(cable, plug, other, now, change);
		break;
	case MIRROR_RELEASE:
		release(cable, plug, other, now, change);
		break;
	case MIRROR_LEAVE:
		break;
	}
}

/* If the ports of an interface that was made anew should be opened now. While it is down that makes
 * no sense: nothing is received, and sockets can't share what arrives. */
static bool is_anew(const struct plug *plug, lb_time now)
{
	bool is_set_up = plug->is.state == LINK_UP || plug->is.state == LINK_NO_CARRIER;

	return plug->anew && is_set_up && now.ns >= plug->retry.ns;
}

/* How each interface is; NULL: it is gone. */
static void links_of(struct cable *cable, const struct link *ret[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++)
		ret[side] = cable->plugs[side].is.state == LINK_GONE ? NULL
		                                                     : &cable->plugs[side].is.link;
}

static void hold_routing(struct cable *cable, bool on)
{
	const struct link *links[NSIDES];

	links_of(cable, links);
	if (links[OUTSIDE] && links[NSIDES - 1])
		routing_hold(&cable->routing, cable->socket, links, on);
}

static void end_routing(struct cable *cable)
{
	const struct link *links[NSIDES];

	links_of(cable, links);
	routing_end(&cable->routing, cable->socket, links);
}

static void hear(struct cable *cable, lb_time now, struct cable_change ret[NSIDES])
{
	struct monitor_watch watches[NSIDES] = {{.index = -1}, {.index = -1}};

	for (unsigned side = 0; side < cable->n; side++) {
		const struct plug *plug = &cable->plugs[side];

		watches[side] = (struct monitor_watch){
		        .index = plug->is.state == LINK_GONE ? 0 : plug->is.link.index};
	}
	if (!monitor_hear(cable->news, watches) && now.ns < cable->look_again.ns)
		return;
	if (now.ns >= cable->look_again.ns)
		watches[OUTSIDE].changed = watches[INSIDE].changed = true;
	cable->look_again = (lb_time){now.ns + CABLE_LOOK_NS};
	for (unsigned side = 0; side < cable->n; side++)
		if (watches[side].changed)
			plug_look(&cable->plugs[side], cable->socket, watches[side].removed, now,
			          &ret[side]);
	judge_mtus(cable);
	hold_routing(cable, cable->routing.on);
}

bool cable_poll(struct cable *cable, lb_time now, struct cable_change ret[NSIDES])
{
	bool any = false;

	memset(ret, 0, NSIDES * sizeof(ret[0]));
	hear(cable, now, ret);
	for (unsigned side = 0; side < cable->n; side++)
		mirror(cable, (enum side)side, now, &ret[side]);
	for (unsigned side = 0; side < cable->n; side++) {
		struct plug *plug = &cable->plugs[side];

		ret[side].anew = is_anew(plug, now);
		plug->anew = plug->anew && !ret[side].anew;
		ret[side].announce = plug->unknown && plug->is.state == LINK_UP;
		plug->unknown = plug->unknown && !ret[side].announce;
		any |= ret[side].anew || ret[side].mac || ret[side].mtu || ret[side].announce;
	}
	return any;
}

void cable_route(struct cable *cable, bool on)
{
	hold_routing(cable, on);
}

struct mnl_socket *cable_socket(const struct cable *cable)
{
	return cable->socket;
}

void cable_indices(const struct cable *cable, int ret[NSIDES])
{
	for (unsigned side = 0; side < NSIDES; side++) {
		const struct cable_state *is = &cable->plugs[side].is;

		ret[side] = is->state == LINK_GONE ? 0 : is->link.index;
	}
}

void cable_mirror(struct cable *cable, bool on)
{
	cable->mirror = on;
}

void cable_retry(struct cable *cable, enum side side, lb_time now)
{
	struct plug *plug = &cable->plugs[side];

	plug->anew = plug->is.state != LINK_GONE;
	plug->retry = (lb_time){now.ns + CABLE_RETRY_NS};
}

int cable_fd(const struct cable *cable)
{
	return mnl_socket_get_fd(cable->news);
}

const struct cable_state *cable_state(const struct cable *cable, enum side side)
{
	return &cable->plugs[side].is;
}

/* ---- Beginning and end ---- */

/* Finds the interface of that name and claims it, before anything is changed. */
static int find_end(struct cable *cable, struct plug *plug, const char *name, lb_time now)
{
	int err;

	plug->name = name;
	plug->dead = now;
	err = link_query(cable->socket, name, &plug->is.link);
	if (err == -ENODEV && cable->may_be_gone) {
		log_info("%s: %s", name, strerror(-err));
		plug->is.link = (struct link){.index = 0};
		return claim_take_name(&plug->claim, name);
	}
	if (err < 0) {
		log_error("%s: %s", name, strerror(-err));
		return err;
	}
	return claim_take(&plug->claim, cable->socket, &plug->is.link, name);
}

static int open_end(struct cable *cable, struct plug *plug, lb_time now)
{
	struct cable_change unused = {0};
	int err;

	if (!plug->is.link.index)
		return 0;
	plug->is.state = plug_state_of(&plug->is.link);
	if (cable->is_hosts)
		settings_spare(&plug->settings);
	else if ((err = settings_begin(&plug->settings, cable->socket, &plug->is.link)) < 0)
		return err;
	plug_note_use(plug);
	if (!cable->mirror || plug->is.state != LINK_DOWN)
		return 0;
	log_info("%s: is down: set up, for link_mirror", plug->name);
	err = set_up(cable, plug, true, now);
	plug_look(plug, cable->socket, false, now, &unused);
	return err;
}

/* On a cable nobody routes: what one in `mode = routed` has left on these interfaces ends. */
static void end_left_routing(struct cable *cable, const char *const names[NSIDES])
{
	const struct link *const links[NSIDES] = {&cable->plugs[OUTSIDE].is.link,
	                                          &cable->plugs[INSIDE].is.link};

	if (routing_release(cable->socket, names, links) < 0)
		return;
	log_info("the kernel's routing is set back, as mode = routed has left it");
	for (unsigned side = 0; side < NSIDES; side++)
		link_query(cable->socket, names[side], &cable->plugs[side].is.link);
}

static struct cable *new_cable(const char *const names[NSIDES], const struct cable_wish *wish)
{
	struct cable *cable = calloc(1, sizeof(*cable));

	if (!cable)
		return NULL;
	cable->n = names[NSIDES - 1] ? NSIDES : 1;
	cable->mirror = wish->mirror;
	cable->is_hosts = wish->is_hosts;
	cable->may_be_gone = wish->may_be_gone;
	for (unsigned side = 0; side < NSIDES; side++) {
		cable->plugs[side].is.state = LINK_GONE;
		settings_init(&cable->plugs[side].settings);
		cable->plugs[side].claim = (struct claim){-1, -1, -1};
		cable->plugs[side].other =
		        cable->n == NSIDES ? &cable->plugs[way_across((enum side)side)].is : NULL;
	}
	return cable;
}

int cable_open(const char *const names[NSIDES], const struct cable_wish *wish, lb_time now,
               struct cable **ret)
{
	struct cable *cable = new_cable(names, wish);
	int err = cable ? 0 : -ENOMEM;

	if (!err) {
		if ((err = monitor_open(&cable->news)) == 0)
			err = link_open(0, &cable->socket);
	}
	if (err < 0)
		log_error("rtnetlink: %s", strerror(-err));
	for (unsigned side = 0; !err && side < cable->n; side++)
		err = find_end(cable, &cable->plugs[side], names[side], now);
	if (!err && !wish->is_hosts)
		end_left_routing(cable, names);
	for (unsigned side = 0; !err && side < cable->n; side++)
		err = open_end(cable, &cable->plugs[side], now);
	if (!err && wish->routed)
		err = routing_begin(&cable->routing, cable->socket, names,
		                    (const struct link *[]){&cable->plugs[OUTSIDE].is.link,
		                                            &cable->plugs[INSIDE].is.link},
		                    wish->routing);
	if (err < 0) {
		cable_close(cable);
		return err;
	}
	judge_mtus(cable);
	*ret = cable;
	return 0;
}

static void close_end(struct cable *cable, struct plug *plug)
{
	struct link link;
	bool there = plug->is.state != LINK_GONE &&
	             link_query_index(cable->socket, plug->is.link.index, &link) == 0;

	if (there && plug->is.held) {
		int err = link_set_up(cable->socket, link.index, true);

		if (err < 0)
			log_error("%s: stays down: %s", plug->name, strerror(-err));
		else
			log_info("%s: set up again", plug->name);
	}
	settings_end(&plug->settings, cable->socket, there ? &link : NULL);
	claim_drop(&plug->claim);
}

struct settings_left cable_left(const struct cable *cable, enum side side)
{
	return settings_left(&cable->plugs[side].settings);
}

void cable_take_over(struct cable *cable, enum side side, const struct settings_left *left)
{
	settings_take_over(&cable->plugs[side].settings, &cable->plugs[side].is.link, left);
}

void cable_leave(struct cable *cable)
{
	for (unsigned side = 0; cable && side < cable->n; side++)
		settings_end(&cable->plugs[side].settings, NULL, NULL);
	if (cable)
		routing_leave(&cable->routing);
	cable_close(cable);
}

int cable_release_routing(struct cable *cable, const char *const names[NSIDES])
{
	const struct link *links[NSIDES];

	links_of(cable, links);
	return routing_release(cable->socket, names, links);
}

void cable_close(struct cable *cable)
{
	if (!cable)
		return;
	end_routing(cable);
	for (unsigned side = 0; side < cable->n; side++)
		close_end(cable, &cable->plugs[side]);
	if (cable->news)
		mnl_socket_close(cable->news);
	if (cable->socket)
		mnl_socket_close(cable->socket);
	free(cable);
}
