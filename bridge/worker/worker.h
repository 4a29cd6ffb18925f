/*
 * One engine between two ports. What happens to each burst is in burst.h, at each tick in duties.h.
 */
#ifndef BRIDGE_WORKER_H
#define BRIDGE_WORKER_H

#include "announcer.h"
#include "carrier.h"
#include "connlog.h"
#include "defence.h"
#include "../fastpath/fastpath.h"
#include "inbox.h"
#include "listener.h"
#include "../process/memory.h"
#include "../process/rush.h"
#include "../port/port.h"
#include "setup.h"
#include "tap.h"
#include "voice.h"
#include "../../lb/lb.h"

struct worker {
	struct port *ports[NSIDES]; /* by enum side */
	struct share share;
	struct inbox **inboxes; /* by worker; NULL if this is the only one */
	struct hash_key key;
	struct memory memory;            /* of lb */
	struct memory extras[LB_EXTRAS]; /* of lb, besides */
	struct lb *lb;
	struct voice voice;        /* by the ports */
	struct fastpath *fastpath; /* has the engine's arrays, and feeds the ports; or NULL */
	struct adoption adoption;  /* of flows that were left there */
	unsigned next_way;         /* the server whose way is to be published next */
	struct announcer announcer;
	struct listener listener; /* of the first worker */
	struct defence defence;
	struct carrier carrier; /* of the ports */
	struct setup setup;
	struct tap *tap; /* gets copies of what comes and goes; or NULL: nobody captures */
	struct connlog *connlog;
	unsigned queue;           /* of connlog, that is this worker's */
	bool more;                /* lb_poll() has more to do at once */
	struct rush rush;         /* of its thread, while a port is pressed */
	uint64_t news_lost;       /* that other workers had no room for */
	struct times burst_times; /* of some of the bursts: times_burst */
	uint64_t conflicts;       /* frames in which somebody claimed an address of ours */
};

/*
 * Takes all memory of the worker that has this share. The ports, the rules and the inboxes (of all
 * workers, or NULL if there is only one) must stay, as must fastpath, which may be NULL. Returns 0,
 * or a negative errno with the reason logged. worker_free() is due in either case, and fine for a
 * worker that is all zero.
 */
int worker_init(struct worker *worker, const struct rules *rules, const struct share *share,
                struct inbox **inboxes, const struct hash_key *key,
                struct port *const ports[NSIDES], struct fastpath *fastpath, lb_time now);
void worker_free(struct worker *worker);

/* Has the engine, which was made anew, use what the one before it had besides. */
void worker_reuse_extras(struct worker *worker, lb_time now);

/* Sends the records of flows that end from now on to that queue of connlog, which may be NULL. */
void worker_log_to(struct worker *worker, struct connlog *connlog, unsigned queue);

/*
 * Has the worker use none of our addresses on the sides whose bits (1 << side) are set: there it is
 * a cable and nothing else, until another call says otherwise.
 */
void worker_hold(struct worker *worker, unsigned sides);

/* Set the MAC address of the port of that side, and its MTU in bytes, when these have changed. */
void worker_set_mac(struct worker *worker, enum side side, const struct mac *mac);
void worker_set_mtu(struct worker *worker, enum side side, uint32_t mtu);

/* If the worker is held on all sides: then it asks for no neighbour, and no probe begins. */
static inline bool worker_is_held(const struct worker *worker)
{
	return voice_is_mute(&worker->voice, way_ports(worker->setup.rules));
}

/* Writes where all servers are, as far as that is known, into the fast path's maps; to be called
 * when servers have got other numbers. */
void worker_publish(struct worker *worker);

/* Begins to announce our addresses, on the sides whose bits (1 << side) are set. */
void worker_announce(struct worker *worker, unsigned sides, lb_time now);

/* To be called at the end: records all flows that have ended but aren't recorded yet, and open ones
 * unless go_on says that they go on without this process. Waits for the connection log. */
void worker_finish(struct worker *worker, bool go_on, lb_time now);

/* Sends what has ended so far to the connection log, as each burst and tick does. */
void worker_log_ended(struct worker *worker);

/*
 * For a reload: makes all that hangs on rules, while the worker goes on. Returns 0 and sets *ret,
 * or a negative errno with the reason logged.
 */
int worker_prepare(const struct worker *worker, const struct rules *rules, lb_time now,
                   struct setup *ret);

/*
 * Goes over to setup, with the flows, and leaves the old one in its place: map says the new number
 * of each server of the old rules (see lb_reload()). Nothing is left that refers to the old rules.
 */
void worker_move(struct worker *worker, struct setup *setup, const uint16_t *map, lb_time now);

#endif
