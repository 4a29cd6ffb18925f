/*
 * Which server gets the next connection, and how many each has.
 */
#ifndef LB_SCHED_H
#define LB_SCHED_H

#include "arena.h"
#include "health.h"
#include "rules.h"
#include "share.h"

#define SERVER_NONE UINT16_MAX

struct server {
	uint32_t connections; /* live flows */
	uint32_t load;        /* those in which neither end has sent FIN */
	uint64_t connections_total;
	uint64_t turn; /* virtual time of its next turn; see sched.c */
};

struct sched {
	const struct rules *rules;
	const struct share *share;
	const struct health *health;
	struct server *servers; /* by rules.servers[] */
	uint64_t *turns;        /* by farm: the virtual time of the last turn taken */
};

/* share, of which a server's max_connections and turns are, and health must stay. */
void sched_lay_out(struct sched *sched, struct arena *arena, const struct rules *rules,
                   const struct share *share, const struct health *health);

/*
 * If the server may be given connections at all: it is up, and active; or standby, while no active
 * one is up.
 */
bool sched_may_take(const struct sched *sched, unsigned server);

/* If any server of the farm may. */
bool sched_is_up(const struct sched *sched, unsigned farm);

/* If the server may, and has less than its max_connections. */
bool sched_has_room(const struct sched *sched, unsigned server);

/* The server for the farm's next connection, which client (or its ip6_digest()) asks for, or
 * SERVER_NONE. */
uint16_t sched_pick(const struct sched *sched, unsigned farm, be32 client, lb_time now);

/*
 * Notes that a connection to the server began; is being closed, one end having sent FIN, and no
 * longer a load; ended, by then a load or not; or goes on after all, as what it was.
 */
void sched_opened(struct sched *sched, unsigned server);
void sched_closing(struct sched *sched, unsigned server);
void sched_closed(struct sched *sched, unsigned server, bool was_load);
void sched_revived(struct sched *sched, unsigned server, bool was_load);

/* Takes over old's counts of its server from as those of to. */
void sched_inherit(struct sched *sched, unsigned to, const struct sched *old, unsigned from);

#endif
