/*
 * How many SYNs of clients that have never opened a connection are let in when SYNs come in a
 * flood.
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

/* Which SYNs were turned away within a period, as some bits for each (a Bloom filter). */
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

/* Notes that more frames wait now than can be dealt with soon; strangers_is_pressed() says so for a
 * while. */
void strangers_press(struct strangers *strangers, lb_time now);

static inline bool strangers_is_pressed(const struct strangers *strangers, lb_time now)
{
	return now.ns < strangers->pressed_until.ns;
}

/* Notes that the client (limits_key()) has opened a connection: so he is no stranger, and his
 * address isn't forged. */
void strangers_met(struct strangers *strangers, uint64_t client, lb_time now);

/* If the client is known so; and the same of one that asks, which counts: not if he has asked too
 * often in this second, as who floods in his name. */
bool strangers_have_met(const struct strangers *strangers, uint64_t client, lb_time now);
bool strangers_is_known(struct strangers *strangers, uint64_t client, lb_time now);

/*
 * In a flood: judges a client's SYN: true if it may begin a connection, which is paid for. One that
 * is turned away is noted, as who repeats it later is let in. hash is of all its addresses and
 * ports.
 */
bool strangers_admit(struct strangers *strangers, uint64_t client, uint64_t hash, lb_time now);

/* The same of a SYN that is repeated, and has a half-open flow already: true if it may go on to the
 * server. */
bool strangers_repeats(struct strangers *strangers, uint64_t client, lb_time now);

#endif
