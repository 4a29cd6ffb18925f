/*
 * Programs on network interfaces, by traffic control's clsact hook (tc-bpf(8)), over rtnetlink.
 */
#ifndef BRIDGE_TC_H
#define BRIDGE_TC_H

#include <stdbool.h>
#include <stdint.h>

struct mnl_socket;

/* Ours of a port, in the order in which they run, each if the one before says TC_ACT_UNSPEC. */
enum tc_priority { TC_FILTERS = 1, TC_RECEIVE, TC_FLOW, TC_FLOW6, TC_GUARD };

struct tc_place {
	int ifindex;
	bool egress;
	uint16_t priority; /* enum tc_priority */
};

/* Makes the hook; -EEXIST if there is one already. Returns 0 or a negative errno. */
int tc_add_hook(struct mnl_socket *socket, int ifindex);

/* Removes the hook with all that is on it. Returns 0 or a negative errno. */
int tc_remove_hook(struct mnl_socket *socket, int ifindex);

/* If nothing is attached to the hook any more. */
bool tc_is_empty(struct mnl_socket *socket, int ifindex);

/*
 * Puts the program of that descriptor there, in one step in the place of the one that is. name is
 * what tc(8) shows. Returns 0 or a negative errno.
 */
int tc_attach(struct mnl_socket *socket, const struct tc_place *place, int program,
              const char *name);

/* If a program is there whose name is one of those. */
bool tc_holds(struct mnl_socket *socket, const struct tc_place *place,
              bool (*is_one)(const char *name));

/* Takes away what is there. Returns 0 or a negative errno. */
int tc_detach(struct mnl_socket *socket, const struct tc_place *place);

#endif
