/*
 * A tmbridge that runs live: what live.c, start.c and follow.c have in common.
 */
#ifndef BRIDGE_INSTANCE_H
#define BRIDGE_INSTANCE_H

#include "cable/cable.h"
#include "fastpath/fastpath.h"
#include "fastpath/guard.h"
#include "operator/desk.h"
#include "operator/writer.h"
#include "reload.h"
#include "worker/crew.h"
#include "worker/vacancy.h"

/* What flows need of what the rules leave to the host: remains.h. */
struct remains {
	bool any;     /* flows may have such ports */
	bool said;    /* that they have */
	lb_time look; /* when to look if they still have */
	/* of the errand that does: */
	struct guard *guard;
	const struct rules *rules;
	uint32_t flow; /* of its worker, that comes next, if there are more */
	bool more;
	unsigned parts;
	bool found; /* flows have such ports */
};

struct live {
	const struct options *options;
	reload_load *load;
	struct cfg_text *text;      /* the rules' */
	struct overrides overrides; /* that lie over them */
	struct cable *cable;
	struct fastpath *fastpath; /* or NULL */
	bool is_refused;           /* the kernel would not have one */
	struct guard *guard;       /* NULL: a cable without one */
	bool keep;                 /* what it does goes on at the end */
	struct crew crew;
	struct share share;    /* of the first worker */
	struct writer *writer; /* of the statistics, or NULL: there are none */
	struct vacancy *vacancy;
	struct sockets sockets;
	struct priority priority; /* as it was started with */
	struct world world;
	struct desk *desk; /* at the sockets; or NULL */
	unsigned held;     /* sides (1 << side) on which no address has been checked yet */
	unsigned quiet;    /* sides on which nobody has been heard since the link came up, */
	lb_time quiet_until[NSIDES]; /* and how long that matters */
	bool unchecked;              /* some addresses, when the loops start: no side uses any */
	lb_time retry_held;          /* not to be checked again before */
	struct cable_change changes[NSIDES]; /* that ports haven't followed yet, */
	lb_time retry_changes;               /* as a worker didn't move: not again before */
	uint32_t max_connections, max_half_open;
	int signals; /* signals_open() */
	lb_time started;
	lb_time host_look; /* when to look at the host's addresses and routes */
	lb_time kept_look; /* when to look at SNAT addresses that are no longer in the file */
	struct remains remains;
	lb_time stats_until; /* how long workers are asked for statistics; 0: nobody wants any */
	bool stop;
	unsigned still; /* looks, one a second, in which a worker hadn't moved */
	lb_time still_look;
	bool is_stuck; /* the workers couldn't be ended: what they have stays */
};

#endif
