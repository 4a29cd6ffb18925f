/*
 * How a client shows, without anything being kept of him, that he is at the address that he names.
 */
#ifndef LB_CHALLENGES_H
#define LB_CHALLENGES_H

#include "arena.h"
#include "parse.h"
#include "share.h"

struct challenges {
	struct hash_key key;
	lb_time begun;
	lb_time answers_until; /* later than that nobody can answer */
	uint64_t cost_ns, paid_ns;
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

/* If the RST answers such a challenge. Its sender has got it, then, and so is at his address. */
bool challenges_is_answer(const struct challenges *challenges, const struct packet *rst,
                          lb_time now);

#endif
