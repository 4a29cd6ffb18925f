/*
 * At each piece of news the kernel is asked how the interface is now, and what differs from the
 * last time is logged and acted upon. So it doesn't matter how many messages there were, nor if
 * some were lost.
 *
 * An interface is known by its index: it stays the same one under another name. When it is gone,
 * the next one of the name on the command line, or with that as another name, takes its place;
 * unless that is the other end, which would be a loop.
 */
#include "plug.h"

#include "../process/log.h"

#include <errno.h>
#include <string.h>

enum link_state plug_state_of(const struct link *link)
{
	if (!link->up)
		return LINK_DOWN;
	return link->carrier ? LINK_UP : LINK_NO_CARRIER;
}

static double seconds(lb_time from, lb_time to)
{
	return (double)(to.ns - from.ns) / (double)LB_NS_PER_S;
}

static void set_state(struct plug *plug, enum link_state state, lb_time now)
{
	if (plug->is.state == LINK_UP && state != LINK_UP)
		plug->dead = now;
	if (state == LINK_UP) {
		plug->rising = false;
		plug->unknown |= plug->is.state != LINK_UP;
	}
	plug->is.state = state;
}

static void say_state(const struct plug *plug, enum link_state state, lb_time now)
{
	struct details details = {.n = 0};

	if (state == plug->is.state)
		return;
	details_text(&details, "link", link_state_name(state));
	if (state == LINK_UP)
		details_seconds(&details, "after_s", seconds(plug->dead, now));
	if (state == LINK_UP)
		log_with(LOG_INFO, &details, "%s: link up, after %.1f s", plug->name,
		         seconds(plug->dead, now));
	else if (state == LINK_DOWN && !plug->is.held)
		log_with(LOG_WARNING, &details, "%s: link down: it was set down", plug->name);
	else if (state == LINK_NO_CARRIER && !plug->rising)
		log_with(LOG_WARNING, &details, "%s: link down: no carrier", plug->name);
}

/* It was down since the last look, and is up again. */
static bool has_blinked(const struct plug *plug, const struct link *link)
{
	return plug->is.state == LINK_UP && plug_state_of(link) == LINK_UP &&
	       link->drops != plug->is.link.drops;
}

static void say_mac(const struct plug *plug, const struct mac *mac)
{
	const uint8_t *b = mac->b;
	struct details details = {.n = 0};

	details_mac(&details, "mac", b);
	log_with(LOG_INFO, &details, "%s: its MAC address is %02x:%02x:%02x:%02x:%02x:%02x now",
	         plug->name, b[0], b[1], b[2], b[3], b[4], b[5]);
}

/* Warns if the interface has become a port of a bridge, bond or the like, which handles the same
 * frames. */
static void say_hazards(const struct plug *plug, const struct link *before, const struct link *link)
{
	if (link->master && link->master != before->master)
		log_warning("%s: belongs to another interface now, which forwards its frames as "
		            "well: ip link set %s nomaster",
		            plug->name, link->name);
}

static void gone(struct plug *plug, lb_time now)
{
	struct details details = {.n = 0};

	details_text(&details, "link", link_state_name(LINK_GONE));
	log_with(LOG_WARNING, &details, "%s: gone; waiting for it", plug->name);
	set_state(plug, LINK_GONE, now);
	plug->dead = now;
	plug->rising = plug->anew = false;
	settings_end(&plug->settings, NULL, NULL);
}

void plug_note_use(struct plug *plug)
{
	plug->is.used = plug->settings.ipv4_used || plug->settings.ipv6_used;
}

/* Why an interface that has this end's name can't be this end, or NULL: any interface may be given
 * the name. */
static const char *flaw_of(const struct plug *plug, const struct link *link)
{
	const struct cable_state *other = plug->other;

	if (!link->ethernet)
		return "isn't an Ethernet interface: waiting for one that is";
	if (other && other->state != LINK_GONE && other->link.index == link->index)
		return "as another name of the other port: waiting for an interface of its own";
	return NULL;
}

static bool fits(struct plug *plug, const struct link *link)
{
	const char *flaw = flaw_of(plug, link);

	if (flaw && plug->misfit != link->index)
		log_warning("%s: is back, but %s", plug->name, flaw);
	if (flaw)
		plug->misfit = link->index;
	return !flaw;
}

static void back(struct plug *plug, struct mnl_socket *socket, const struct link *link, lb_time now)
{
	static const char *const but[] = {[LINK_UP] = "",
	                                  [LINK_NO_CARRIER] = ", without a carrier",
	                                  [LINK_DOWN] = ", but it is down"};
	enum link_state state = plug_state_of(link);
	struct details details = {.n = 0};

	settings_again(&plug->settings, socket, link);
	details_text(&details, "link", link_state_name(state));
	details_seconds(&details, "after_s", seconds(plug->dead, now));
	log_with(LOG_INFO, &details, "%s: back after %.1f s%s", plug->name,
	         seconds(plug->dead, now), plug->is.held ? "" : but[state]);
	if (!mac_eq(&link->mac, &plug->is.link.mac))
		say_mac(plug, &link->mac);
	say_hazards(plug, &(struct link){0}, link);
	set_state(plug, state, now);
	plug->is.link = *link;
	plug->anew = plug->unknown = true;
}

/* Acts upon what has changed of an interface that is still the same one. */
static void differs(struct plug *plug, struct mnl_socket *socket, const struct link *link,
                    lb_time now, struct cable_change *change)
{
	const struct link *before = &plug->is.link;
	bool mac = !mac_eq(&link->mac, &before->mac);

	change->mac |= mac;
	change->mtu |= link->mtu != before->mtu;
	if (strcmp(link->name, before->name) != 0) {
		log_info("%s: is called %s now, and stays in use", plug->name, link->name);
		settings_renamed(&plug->settings, link);
	}
	if (mac) {
		say_mac(plug, &link->mac);
		plug->unknown = true;
	}
	say_hazards(plug, before, link);
	settings_look(&plug->settings, socket, link);
	plug_note_use(plug);
	say_state(plug, plug_state_of(link), now);
	if (has_blinked(plug, link)) {
		log_info("%s: link up again: it was down for a moment", plug->name);
		plug->unknown = true;
	}
	set_state(plug, plug_state_of(link), now);
	plug->is.link = *link;
}

void plug_look(struct plug *plug, struct mnl_socket *socket, bool removed, lb_time now,
               struct cable_change *change)
{
	struct link link;
	int err = -ENODEV;

	if (plug->is.state != LINK_GONE) {
		if (!removed)
			err = link_query_index(socket, plug->is.link.index, &link);
		if (!err)
			differs(plug, socket, &link, now, change);
		else if (err == -ENODEV)
			gone(plug, now);
	}
	if (plug->is.state == LINK_GONE) {
		err = link_query(socket, plug->name, &link);
		if (!err && fits(plug, &link))
			back(plug, socket, &link, now);
	}
	if (err < 0 && err != -ENODEV)
		log_warning("%s: link: %s", plug->name, strerror(-err));
}
