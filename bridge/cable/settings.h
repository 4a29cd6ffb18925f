/*
 * What the host is set to on a port while tmbridge runs: silent, and no router.
 */
#ifndef BRIDGE_SETTINGS_H
#define BRIDGE_SETTINGS_H

#include "link.h"

enum setting_name { SETTING_FORWARDING, SETTING_ARP_IGNORE, SETTING_DISABLE_IPV6, NSETTINGS };

struct setting {
	bool ours;       /* we have set it */
	bool failed;     /* that couldn't be done, and was said */
	uint32_t before; /* if ours: what somebody else has set it to last */
	bool with_all;   /* as he had set it for all interfaces at once */
	int fd;          /* of a sysctl's file, or -1 */
};

/* Of one interface: what of it the host uses, and what has been set. */
struct settings {
	bool ipv4_used, ipv6_used; /* the host has an address there */
	bool routes_ipv6;          /* and routes that; was said */
	bool is_hosts;             /* all of it: nothing is set */
	struct setting setting[NSETTINGS];
};

/* Of no interface: nothing is set, and settings_end() does nothing. */
void settings_init(struct settings *settings);

/*
 * Sets the interface's settings to what they have to be, but for what the host has an address for.
 * Returns 0, or a negative errno, with the reason logged, if tmbridge can't run so: the host goes
 * on routing there. That others can't be set is logged only.
 */
int settings_begin(struct settings *settings, struct mnl_socket *socket, const struct link *link);

/* The same for an interface that the host goes on using as it is: nothing is set. */
void settings_spare(struct settings *settings);

/* The same for the interface that was made anew: what the host uses is what it was. */
void settings_again(struct settings *settings, struct mnl_socket *socket, const struct link *link);

/*
 * To be called now and then, and when something about the interface may have changed. Sets again
 * what somebody else has changed, and says so; gives back what is an address's that the host has
 * got itself there.
 */
void settings_look(struct settings *settings, struct mnl_socket *socket, const struct link *link);

/* Notes that the interface has a new name. */
void settings_renamed(struct settings *settings, const struct link *link);

/* What an earlier process has set and left so, to be given back in the end. */
struct settings_left {
	bool ours[NSETTINGS], with_all[NSETTINGS];
	uint32_t before[NSETTINGS];
};

/* settings_left() says what settings_end() would give back. The other function, after
 * settings_begin(), adds what an earlier process has left to be given back. */
struct settings_left settings_left(const struct settings *settings);
void settings_take_over(struct settings *settings, const struct link *link,
                        const struct settings_left *left);

/*
 * Makes all that was set as it was, but for what somebody else has changed since. link is as it is
 * now, or NULL if it is gone.
 */
void settings_end(struct settings *settings, struct mnl_socket *socket, const struct link *link);

#endif
