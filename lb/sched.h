/*
 * Who of a farm's servers may take a connection, how many each has, and in which order they are
 * next. Which of them a connection gets is decided in pick.h.
 */
#ifndef LB_SCHED_H
#define LB_SCHED_H

#include "arena.h"
#include "health.h"
#include "heap.h"
#include "rules.h"
#include "share.h"

/* What is known of a farm's servers that may take connections. */
struct sched_farm {
	uint64_t changes; /* health.changes when the heap was made */
	lb_time until;    /* when it must be made again, as a ramp goes on */
	uint64_t draws;   /* state of the lots of `fastest`: see fastest_draw() */
	uint16_t n;       /* servers in the heap */
	bool is_made;
};

struct sched {
	const struct rules *rules;
	const struct share *share;
	const struct health *health;
	struct sched_server *servers; /* by rules.servers[] */
	uint64_t *turns;              /* by farm: the virtual time of the last turn taken */
	struct sched_farm *farms;
	uint16_t *heap; /* of each farm from rules_farm.server on: the next one first */
};

/*
 * Takes room for the servers of rules from arena and, unless that only measures, sets them out
 * without connections. share, by which a worker's part of max_connections and its first turns go,
 * and health must stay.
 */
void sched_lay_out(struct sched *sched, struct arena *arena, const struct rules *rules,
                   const struct share *share, const struct health *health);

/*
 * If the server may be given connections at all: it is up, and active; or standby, while no active
 * one is up; or a last resort, while neither is.
 */
bool sched_may_take(const struct sched *sched, unsigned server);

/* If any server of the farm may take connections. */
bool sched_is_up(const struct sched *sched, unsigned farm);

/* If the server may take connections, and isn't full or has a half-open one to make room. */
bool sched_has_room(const struct sched *sched, unsigned server);

/* If the server has its max_connections: then a half-open one must make room for another one. */
bool sched_is_full(const struct sched *sched, unsigned server);

/* If half or more of the server's connections aren't open yet, and 16 or more, as in a flood. */
bool sched_is_crowded(const struct sched *sched, unsigned server);

/*
 * The state that a server of the farm must have to be given connections now: that of the active
 * ones, or else of a later group. And if a server has that state, is up, and has a weight.
 */
enum rules_state sched_state_in_charge(const struct sched *sched, unsigned farm);
bool sched_is_in_state(const struct sched *sched, unsigned server, enum rules_state state);

/* The farm's servers that may be given connections now, the next one first; those that are full
 * (heap_is_full()) are last. Good until something is noted below, or time passes. */
struct heap sched_heap(struct sched *sched, unsigned farm, lb_time now);

/* Notes a connection that is there already, open, when a table is taken over; is_load: no end has
 * sent FIN. */
void sched_adopt(struct sched *sched, unsigned server, bool is_load);

/*
 * Note what becomes of a connection to the server: it begins, half-open; it opens, or ends before
 * that; one end has sent FIN, from when on it is no load; it has ended, was_load saying if it was
 * one until then; it goes on after all, as the load that it was or not.
 */
void sched_opened(struct sched *sched, unsigned server);
void sched_half_open_no_more(struct sched *sched, unsigned server);
void sched_closing(struct sched *sched, unsigned server);
void sched_closed(struct sched *sched, unsigned server, bool was_load);
void sched_revived(struct sched *sched, unsigned server, bool was_load);

/* Notes how long the server took from a SYN to its SYN-ACK: what `fastest` goes by. */
void sched_answered(struct sched *sched, unsigned server, uint64_t ns, lb_time now);

/* Counts change (1 or -1) more flows that name the server, those in quarantine included. And if
 * there are any, which any thread may ask. */
static inline void sched_count_flow(struct sched *sched, unsigned server, int change)
{
	uint32_t *flows = &sched->servers[server].flows;

	__atomic_store_n(flows, *flows + (uint32_t)change, __ATOMIC_RELAXED);
}

static inline bool sched_has_flows(const struct sched *sched, unsigned server)
{
	return __atomic_load_n(&sched->servers[server].flows, __ATOMIC_RELAXED);
}

/* Adds what old counted of its server from to the counts of the server to. */
void sched_inherit(struct sched *sched, unsigned to, const struct sched *old, unsigned from);

/* Counts a flow of the server from as one of the server to: as live or resting, half-open or not, a
 * load or not. */
void sched_reassign(struct sched *sched, unsigned from, unsigned to, bool is_live,
                    bool is_half_open, bool is_load);

/* Sets the server's turn, and the last turn that its farm took, as a recording has them
 * (bridge/recall.c). */
void sched_recall(struct sched *sched, unsigned server, uint64_t turn, uint64_t farm_turn);

#endif
