/*
 * Clients that have never opened a connection, when SYNs come in a flood: how many of theirs are
 * let in.
 */
#ifndef LB_STRANGERS_H
#define LB_STRANGERS_H

#include "arena.h"
#include "share.h"
#include "tuple.h"

struct strangers_client {
	uint64_t key;      /* as limits.h knows clients; 0: none */
	uint32_t opened_s; /* when it last opened a connection */
	uint16_t second;   /* of its last SYN in a flood */
	uint16_t syns;     /* of these in that second */
};

/* What was turned away within a time, as some bits for each SYN. */
struct strangers_asked {
	uint64_t *words;
	bool any; /* else they say nothing */
};

struct strangers {
	struct strangers_client *clients;
	struct strangers_asked asked[2]; /* now, and in the time before */
	unsigned bits_log;               /* how many bits each has */
	uint64_t period;                 /* the number of the present one */
	struct hash_key key;
	lb_time begun;
	lb_time pressed_until;
	uint64_t cost_ns;                                       /* of a SYN */
	uint64_t first_paid_ns, again_paid_ns, repeats_paid_ns; /* buckets */
};

/* Takes what a worker with that share needs. */
void strangers_lay_out(struct strangers *strangers, struct arena *arena, const struct share *share,
                       const struct hash_key *key, lb_time now);

/* More frames wait now than can be dealt with soon: so that is for a while. */
void strangers_press(struct strangers *strangers, lb_time now);

static inline bool strangers_is_pressed(const struct strangers *strangers, lb_time now)
{
	return now.ns < strangers->pressed_until.ns;
}

/* The client (limits_key()) has opened a connection: so there is somebody at that address. */
void strangers_met(struct strangers *strangers, uint64_t client, lb_time now);

/* In a flood: if the SYN may begin a connection. hash: of all its addresses and ports. */
bool strangers_admit(struct strangers *strangers, uint64_t client, uint64_t hash, lb_time now);

/* The same of one that repeats what has begun a connection that isn't open yet: if it may go on to
 * the server. */
bool strangers_repeats(struct strangers *strangers, uint64_t client, lb_time now);

#endif
