/*
 * The workers with their ports and threads.
 */
#ifndef BRIDGE_CREW_H
#define BRIDGE_CREW_H

#include "loop.h"
#include "workers.h"
#include "../fastpath/bouncer.h"

struct crew {
	unsigned n;                /* workers */
	workers_ports *ports;      /* by worker: packet ports */
	struct loop **loops;       /* by worker, or NULL while it isn't running */
	struct bouncer **bouncers; /* by worker; NULL: the kernel has none */
	unsigned rushers;          /* the first so many workers may go before all other threads */
	struct workers workers;
	struct crew_left *left; /* what crew_dispose() has kept */
};

/* Takes the memory for n workers' ports and threads. Returns 0 or -ENOMEM. */
int crew_init(struct crew *crew, unsigned n);

/* Closes the ports and frees that memory; the workers must have been freed. */
void crew_free(struct crew *crew);

/*
 * Loads the programs that drop before the workers' sockets the SYNs which these would drop
 * (lb/barred.h). If the kernel refuses them the workers get all, which is logged if the rules limit
 * clients. The caller tells workers of theirs, when there are any.
 */
void crew_load_bouncers(struct crew *crew, const struct rules *rules);
void crew_use_bouncers(struct crew *crew);

/* Starts the threads. Returns 0 or a negative errno, with the reason logged. */
int crew_start(struct crew *crew);

/*
 * Has all threads stand still after the burst that they are at, and waits until they do: then the
 * workers are the caller's, until crew_resume(). Frames wait in the sockets meanwhile. Returns 0,
 * or -ETIMEDOUT if some thread hasn't come to it after CREW_PAUSE_MS: then all go on.
 */
enum { CREW_PAUSE_MS = 1000 };
int crew_pause(struct crew *crew);
void crew_resume(struct crew *crew);

/*
 * Has each worker do it between two bursts, and waits until all have; ctx is the same for all.
 * While no threads run it is done here and now. Returns 0, or -ETIMEDOUT if some didn't come to it
 * within CREW_ERRAND_MS, or to its end within CREW_END_MS more: then they are stuck, and nobody
 * waits for them until they move again.
 */
enum { CREW_ERRAND_MS = 100, CREW_END_MS = 2000 };
int crew_errand(struct crew *crew, loop_errand *errand, void *ctx);

/* The same of one worker. */
int crew_errand_to(struct crew *crew, unsigned worker, loop_errand *errand, void *ctx);

/* If any is; and if one has begun an errand with that ctx that it hasn't come to the end of. */
bool crew_is_stuck(const struct crew *crew);
bool crew_has(const struct crew *crew, const void *ctx);

/* Frees what was the ctx of errands, by that function: now, or when the worker that
 * doesn't come to the end of one has come to it. */
typedef void crew_free_ctx(void *ctx);
void crew_dispose(struct crew *crew, void *ctx, crew_free_ctx *free_ctx);

/* Ends the threads. What they had handed to each other is still done. Returns 0, or -ETIMEDOUT if
 * one doesn't stand still, CREW_STOP_TRIES times: then all run, and what they have must stay. */
enum { CREW_STOP_TRIES = 5 };
int crew_stop(struct crew *crew);

/*
 * Lets several workers share what arrives, and has bouncers at their sockets if there are limits
 * for clients: at first, after a reload, or when ports were opened anew. No worker may be running.
 * Returns 0, or a negative errno with the reason logged.
 */
int crew_join(struct crew *crew, const struct rules *rules);

/* Then has each get what is his by these rules; until that they hand over what isn't. They may be
 * running: the kernel takes its time. Likewise. */
int crew_steer(struct crew *crew, const struct rules *rules, const struct share *share);

/* Both, of workers that don't run yet, or of ports that are new to them. Likewise. */
int crew_share_out(struct crew *crew, const struct rules *rules, const struct share *share);

/* A worker whose thread hasn't been through a round since nobody was still last; -1: nobody is. */
int crew_still(struct crew *crew);

#endif
