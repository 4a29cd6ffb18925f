/*
 * The two interfaces while tmbridge runs: what becomes of them, and what is done to them.
 */
#ifndef BRIDGE_CABLE_H
#define BRIDGE_CABLE_H

#include "plug.h"

struct cable;

/* What is wanted of the interfaces. */
struct cable_wish {
	bool mirror;   /* link_mirror */
	bool is_hosts; /* the host goes on using them, and they are no cable */
	bool routed;   /* then: its kernel is to route between them, or not to: */
	bool routing;
	bool may_be_gone; /* one that isn't there is as if it had gone */
};

/*
 * Begins to watch the interfaces, named by enum side (an inside without a name: there is none), and
 * sets the host to be silent there (settings.h), unless they stay its own. names must stay.
 * Returns 0 and sets *ret, or a negative errno with the reason logged.
 */
int cable_open(const char *const names[NSIDES], const struct cable_wish *wish, lb_time now,
               struct cable **ret);

/* Sets all as it was. */
void cable_close(struct cable *cable);

/* The same, but leaves the interfaces as they are, for the process that comes after this one. */
void cable_leave(struct cable *cable);

/* What would be set back; and takes over what an earlier process has left. */
struct settings_left cable_left(const struct cable *cable, enum side side);
void cable_take_over(struct cable *cable, enum side side, const struct settings_left *left);

/* Sets the host's routing back as it was before a process that is no more. Returns 0, or -ENOENT if
 * there is nothing of that kind. */
int cable_release_routing(struct cable *cable, const char *const names[NSIDES]);

/* Readable when there is something for cable_poll(). */
int cable_fd(const struct cable *cable);

/*
 * Asks the kernel how the interfaces are, logs what has changed, and sets their links as
 * link_mirror wants. To be called when cable_fd() is readable, and now and then. Returns true if
 * ports have a change to follow, and sets ret, by enum side, to that.
 */
bool cable_poll(struct cable *cable, lb_time now, struct cable_change ret[NSIDES]);

/* Turns link_mirror on or off, and the host's routing. */
void cable_mirror(struct cable *cable, bool on);
void cable_route(struct cable *cable, bool on);

/* The socket for questions to the kernel, and the interfaces' indices (0: gone). */
struct mnl_socket *cable_socket(const struct cable *cable);
void cable_indices(const struct cable *cable, int ret[NSIDES]);

/* Has cable_poll() return once more, after a while, that the interface is another one. */
void cable_retry(struct cable *cable, enum side side, lb_time now);

const struct cable_state *cable_state(const struct cable *cable, enum side side);

#endif
