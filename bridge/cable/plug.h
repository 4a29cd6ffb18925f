/*
 * One end of the cable: in which interface it is, and what becomes of that.
 */
#ifndef BRIDGE_PLUG_H
#define BRIDGE_PLUG_H

#include "claim.h"
#include "link.h"
#include "mirror.h"
#include "settings.h"
#include "../../lb/frame.h"

/* What the ports have to follow. */
struct cable_change {
	bool anew;     /* it is another interface than before, and set up: open the port anew */
	bool mac;      /* its MAC address is another one */
	bool mtu;      /* its MTU is another one */
	bool announce; /* its link has come up, on a cable that may lead elsewhere than before */
};

/* An interface as it is. */
struct cable_state {
	struct link link; /* as it was last, if it is gone */
	enum link_state state;
	bool held; /* by link_mirror, which is why it is down */
	bool used; /* the host has an address there */
};

struct plug {
	const char *name;
	struct cable_state is;
	const struct cable_state *other; /* how the other end is, or NULL: there is none */
	lb_time dead;                    /* since then it isn't LINK_UP */
	lb_time raised;                  /* when we set it up, if rising */
	bool rising;
	bool anew;     /* not yet told */
	bool unknown;  /* its neighbours may know nothing of it yet: it has just come up */
	lb_time retry; /* not to be told or tried before */
	int misfit;    /* index of one of that name that can't be used */
	struct settings settings;
	struct claim claim;
};

/* If it can carry frames. */
enum link_state plug_state_of(const struct link *link);

/*
 * Asks the kernel, by socket, how the interface is, says in the log what differs from before, and
 * notes in change what the port has to follow. removed says that it isn't the same one, even if it
 * has the same index.
 */
void plug_look(struct plug *plug, struct mnl_socket *socket, bool removed, lb_time now,
               struct cable_change *change);

/* Takes over whether the host has an address there. */
void plug_note_use(struct plug *plug);

#endif
