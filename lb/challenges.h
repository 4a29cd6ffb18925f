/*
 * How a client shows that he is at the address that he names, and so is let in at once in a flood.
 */
#ifndef LB_CHALLENGES_H
#define LB_CHALLENGES_H

#include "arena.h"
#include "parse.h"
#include "share.h"

/* One whose SYN hasn't come again yet. */
struct challenges_answer {
	uint64_t until_ms; /* since the beginning; 0: none */
	uint32_t hash;     /* of its addresses and ports */
};

struct challenges {
	struct hash_key key;
	lb_time begun;
	lb_time answers_until;                   /* later than that nobody can answer */
	uint64_t cost_ns, paid_ns;               /* of a challenge */
	uint64_t let_in_cost_ns, let_in_paid_ns; /* of a SYN whose sender has answered */
	struct challenges_answer *answers;
	uint32_t place_cost_ms;
	uint32_t *paid_ms; /* up to when the challenges of networks are paid for, since the
	                      beginning */
};

/* Takes what a worker with that share needs. */
void challenges_lay_out(struct challenges *challenges, struct arena *arena,
                        const struct share *share, const struct hash_key *key, lb_time now);

/*
 * True if the sender of this SYN, which gets no other answer, may be challenged; that is paid for
 * then. pressed: more frames wait than can be dealt with soon. *ack, host order, is the number for
 * an ACK to him, who has sent nothing that it could acknowledge: so he answers with a RST of that
 * number, and goes on to wait for an answer to his SYN (RFC 9293, 3.10.7.3).
 */
bool challenges_make(struct challenges *challenges, const struct packet *syn, bool pressed,
                     lb_time now, uint32_t *ack);

/* If the RST answers such a challenge; then that is noted. hash, in its lower half, is of all its
 * addresses and ports. */
bool challenges_answer(struct challenges *challenges, const struct packet *rst, uint64_t hash,
                       lb_time now);

/* If the sender of a SYN of that hash has answered within the last seconds, and it may go on to a
 * server, which is paid for: just this once. */
bool challenges_let_in(struct challenges *challenges, uint64_t hash, lb_time now);

#endif
