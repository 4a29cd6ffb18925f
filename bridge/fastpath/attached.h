/*
 * What the fast path does to an interface, and how that is undone.
 */
#ifndef BRIDGE_ATTACHED_H
#define BRIDGE_ATTACHED_H

#include "loaded.h"
#include "../cable/link.h"

#include <stdbool.h>
#include <stdint.h>

struct mnl_socket;

/* What was done to an interface; zeros: nothing. */
struct attached {
	int ifindex; /* 0: none */
	bool hook_made, made_promiscuous;
};

/* All of these are asked of the kernel by rtnetlink, and return 0 or a negative errno. */

/* Attaches a program at its priority (TC_...) to what the interface receives. */
int attached_add(struct mnl_socket *socket, const struct loaded *loaded, int ifindex,
                 uint16_t priority, enum loaded_program program);

/* Attaches the filters' program in place of the one that was there, or removes that (-1). Does
 * nothing if end is no interface. */
int attached_set_filters(struct mnl_socket *socket, const struct attached *end, int program);

/* Drops all that an interface receives or sends: of a punt device, when no worker listens. */
int attached_nobody(struct mnl_socket *socket, const struct loaded *loaded, int ifindex);

/* A packet socket's promiscuity ends with the process: makes the interface promiscuous itself. */
int attached_make_promiscuous(struct mnl_socket *socket, struct attached *end,
                              const struct link *link);

/*
 * Finds on an interface, and takes off it, the programs of a process of which nothing else is to be
 * found, known by their places and names. False if there are none. What else it did to the
 * interface isn't known.
 */
bool attached_has_strays(struct mnl_socket *socket, int ifindex);
bool attached_remove_strays(struct mnl_socket *socket, int ifindex);

/* Undoes all. What is gone, or was changed by others meanwhile, is no matter. */
void attached_remove(struct mnl_socket *socket, struct attached *end);

#endif
