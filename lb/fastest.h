/*
 * Which of two servers answers sooner.
 */
#ifndef LB_FASTEST_H
#define LB_FASTEST_H

#include "rules.h"

#define FASTEST_UNANSWERED_NS LB_NS_PER_S
enum { FASTEST_FORGET_S = 10 };

/* How long a server took for its last answers, SYN to SYN-ACK. */
struct answers {
	uint32_t mean_ns; /* as it was at `last`; 0: unknown */
	lb_time last;
};

/* Notes an answer. None within FASTEST_UNANSWERED_NS, or a refusal, is one that took so long. */
void fastest_note(struct answers *answers, uint64_t ns, lb_time now);

/* The mean as it counts now: it halves with each FASTEST_FORGET_S without another answer. */
uint32_t fastest_mean_ns(const struct answers *answers, lb_time now);

/* What another connection would cost, beside those that are unanswered: less is better. In 2^-8 ns
 * by weight, which isn't 0. */
uint64_t fastest_cost(const struct answers *answers, uint32_t unanswered, uint32_t weight,
                      lb_time now);

/* Draws a number from 0 to n - 1. *draws is the sequence's state: what it begins with says which
 * sequence it is, and each draw moves it on. */
unsigned fastest_draw(uint64_t *draws, unsigned n);

#endif
